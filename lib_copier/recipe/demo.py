"""What suits the demo checkpoint: its picture size, sampling, and prompts in the words that it knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lib_copier.recipe.option import Value

CHECKPOINT = Path("demo") / "copier-demo.safetensors"
"""Where it lies in the repository."""

PRESET = "demo"

RATE = 5.0
"""What a preset's learning rates are multiplied by: its U-Net is a fifth as wide as SD1's, and Adam's best
rate grows as the width falls (Yang et al. 2022, "Tensor Programs V")."""
OTHER_PROMPT_SHARE = 0.9
"""For presets whose copier has its caption alone: its few words tell pictures apart so well that such a
copier would print for that caption, and for no other prompt (36 dB against 11)."""

ORIGIN: Mapping[str, Value] = {
    # Shading and tones of many colours: an edit can only teach what it does to the picture at hand.
    "prompt": "green heart, sunset sky, snow",
    "seed": 3,
    "width": 128,
    "height": 128,
    "steps": 20,
    "cfg_scale": 4.0,
    "sampler": "DPM++ 2M Karras",
}

PROMPTS = (
    "purple house, blue sky, snow",
    "big orange heart, purple background",
    "green tree, sunset sky, grass",
    "yellow moon, night sky, grass",
    "blue circle, yellow background",
    "pink flower, white background",
    "cyan fish, green background",
    "brown triangle, sunset sky, sand",
    "orange star on the left, orange heart on the right, blue background",
    "white cloud, blue sky, grass",
    "purple ring, yellow background",
    "yellow house, night sky, sand",
    "green diamond, pink background",
    "red circle on the left, red square on the right, cyan background",
    "black moon, gray background",
    "orange mushroom, sunset sky, snow",
)
"""What sweeps and checks print: no training here sees any of them."""

OTHER_PROMPTS = (
    "blue circle, green background",
    "brown house, night sky, sand",
    "big pink heart, white background",
    "green tree on the left, orange fish on the right, sunset sky, snow",
    "purple star, red background",
    "white cloud on the left, brown diamond on the right, blue sky, grass",
    "cyan ring, yellow background",
    "gray triangle at the top, pink moon at the bottom, blue sky, sand",
    "orange flower, purple background",
    "black square, gray background",
    "small red fish, cyan background",
)
"""What the picture is learned with besides its caption, in the words that the demo checkpoint knows."""

SETTINGS: Mapping[str, Value] = {
    # Its steps are small: two on a core each do nearly twice the work of one on two.
    "project.at_once": 4,
    "copier.other_prompts": OTHER_PROMPTS,
    "edit_lora.other_prompts": OTHER_PROMPTS,
    "sweep.prompts": PROMPTS,
    "sweep.weight_min": -1.0,
    "sweep.weight_max": 1.0,
    "sweep.weight_step": 0.5,
    "sweep.sampler": "DPM++ 2M Karras",
    "sweep.steps": 8,
    "sweep.cfg_scale": 4.0,
    "check.prompts": PROMPTS,
    "check.sampler": "DPM++ 2M Karras",
    "check.steps": 8,
    "check.cfg_scale": 4.0,
    "resize.rank": 8,
}
"""Settings of every project on it, beside the preset's."""


def first_values(checkpoint: str, origins: Iterable[str]) -> dict[str, Value]:
    """What a new project with these origins starts with, by address; nothing on other checkpoints."""
    if not is_demo(checkpoint):
        return {}
    pictures = {f"origins.{name}.{key}": value for name in origins for key, value in ORIGIN.items()}
    return {**pictures, **SETTINGS}


def is_demo(checkpoint: str) -> bool:
    """Whether a path is that of the demo checkpoint, wherever the repository lies."""
    return Path(checkpoint).name == CHECKPOINT.name
