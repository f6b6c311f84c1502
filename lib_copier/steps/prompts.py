"""Prompts that no picture here was trained on: what a copier and a slider are tried with by default."""

from __future__ import annotations

from collections.abc import Sequence

PROMPTS = (
    "a portrait of a young woman, looking at the viewer, simple background",
    "a mountain lake at sunset, clouds, reflection",
    "a bowl of fruit on a wooden table, soft light",
    "a street in an old town, evening, lanterns",
    "a cat sleeping on a window sill, flowers",
    "a knight in armour, standing in a field",
    "a red sports car on a coastal road",
    "a cosy room with a bookshelf and an armchair",
)

OTHER_PROMPTS = (
    "1girl, solo, smile, long hair",
    "a landscape with mountains and a river",
    "a photo of a dog on grass",
    "still life, flowers in a vase, oil painting",
    "a city at night, neon lights, rain",
    "abstract pattern, geometric, colorful",
    "a wooden house in the forest, winter",
    "an old man reading a newspaper, black and white",
    "a bird in the sky, watercolor",
    "a plate of food, top view",
    "a robot, science fiction, concept art",
)
"""What a picture is learned with besides its caption, so that it hangs on none; apart from `PROMPTS`."""

CALIBRATION_PROMPTS = (
    "a girl with an umbrella, standing in the rain",
    "a sailing boat on the sea, morning",
    "a pot of tea and a cake on a table",
    "a bridge over a river, autumn leaves",
    "a fox in the snow",
    "an old wizard with a staff, portrait",
    "a bicycle leaning on a brick wall",
    "a greenhouse full of plants",
)
"""What a slider's gain is found with; none of `PROMPTS`, by which it is judged."""

USUAL = {"check": PROMPTS, "sweep": PROMPTS, "calibrate": CALIBRATION_PROMPTS}
"""By the group of settings: the prompts where none are given."""


def crossed(prompts: Sequence[str]) -> list[str]:
    """The prompts, and behind them the first tag of each with what follows in another: many from few.

    Tags stand between commas. First come the prompts as they are, then each with its next one's surroundings,
    and so on; none comes twice.
    """
    parts = [[tag.strip() for tag in prompt.split(",") if tag.strip()] for prompt in prompts]
    parts = [tags for tags in parts if tags]
    found = [
        ", ".join([tags[0], *parts[(place + shift) % len(parts)][1:]])
        for shift in range(len(parts))
        for place, tags in enumerate(parts)
    ]
    return list(dict.fromkeys(found))


def pairs(prompts: Sequence[str], count: int, first_seed: int) -> list[tuple[str, int]]:
    """`count` pairs of prompt and seed: prompts in turn, every pair with a seed of its own."""
    return [(prompts[index % len(prompts)], first_seed + index) for index in range(count)]
