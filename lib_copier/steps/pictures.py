"""Method C's pictures: what the checkpoint draws of many prompts, so that no edit hangs on one origin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib_copier.engines.embedded import module_command
from lib_copier.engines.task import Command
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps.parts import PICTURE, Model, device_of, fixed, picture_request, prompt_loras
from lib_copier.steps.prompts import OTHER_PROMPTS, USUAL, crossed, pairs
from lib_copier.txt2img.pictures import SETTINGS

STEP = "pictures"
WALKS = 2
"""Part of the keys of steps that write walks: raised when a walk's file begins to tell more. Those of 1 tell
no negative prompt."""


def step(recipe: Recipe, model: Model) -> Step:
    """``pictures``: 00.png, 01.png …, drawn in one go with the first origin's settings; walks beside."""
    first = recipe.origins[0]
    drawn = drawn_pairs(recipe)
    # A picture that was made elsewhere tells its size itself.
    size = [StepInput("origin", step=f"origin/{first.name}", output=PICTURE)] if first.is_given else []
    values = {name: first.get(name) for name in SETTINGS if name not in ("prompt", "seed")}
    return Step(
        STEP,
        STEP,
        _draw,
        inputs=(*model.inputs, *size, *prompt_loras(recipe, [prompt for prompt, _ in drawn])),
        params=fixed({**values, "pairs": drawn, "walks": WALKS, "prediction": model.prediction}),
        outputs=(
            *(Output(name, "picture") for name in names(recipe)),
            *(Output(walk_of(name), "walk") for name in names(recipe)),
        ),
        cosmetic=device_of(recipe),
    )


def drawn_pairs(recipe: Recipe) -> list[tuple[str, int]]:
    """Prompt and seed of every picture: the prompts that were typed, else those that the checkpoint suggests
    and ours, varied; none by which a slider is calibrated or judged."""
    held, found = _held_out(recipe), recipe.texts("pictures.prompts")
    if not found:
        own = [str(one.get("prompt")) for one in recipe.origins if not one.is_given]
        found = tuple(crossed((*own, *(recipe.texts("edit_lora.other_prompts") or OTHER_PROMPTS))))
    kept = [prompt for prompt in found if prompt not in held]
    return pairs(kept, recipe.whole("pictures.pairs"), recipe.whole("pictures.seed")) if kept else []


def picture_faults(recipe: Recipe) -> Iterator[str]:
    """Where every prompt is one that sliders are judged by, there is nothing to draw."""
    if recipe.method == "pairs" and recipe.origins and not drawn_pairs(recipe):
        yield "pictures.prompts are all among sweep.prompts and calibrate.prompts: give some that are not"


def names(recipe: Recipe) -> list[str]:
    """File names of the pictures."""
    return [f"{number:02d}.png" for number in range(len(drawn_pairs(recipe)))]


def walk_of(name: str) -> str:
    """The file of the walk to the picture of this name."""
    return f"{Path(name).stem}.walk"


def _held_out(recipe: Recipe) -> frozenset[str]:
    edits: tuple[Edit | None, ...] = (None, *recipe.edits)
    return frozenset(
        prompt
        for group in ("sweep", "calibrate")
        for edit in edits
        for prompt in recipe.texts(f"{group}.prompts", edit) or USUAL[group]
    )


def _draw(place: Workplace) -> Command:
    params = place.params
    values = {name: params[name] for name in SETTINGS if name in params}
    for origin in place.paths("origin"):
        values["width"], values["height"] = _size_of(origin)
    files = [f"{number:02d}.png" for number in range(len(params["pairs"]))]
    return drawing(
        place, values, params["pairs"], [(place.out / name, place.out / walk_of(name)) for name in files]
    )


def drawing(
    place: Workplace,
    values: Mapping[str, Any],
    wanted: Sequence[tuple[str, int]],
    files: Sequence[tuple[Path, Path]],
) -> Command:
    """The command that draws pictures of prompts and seeds with these settings, each with its walk."""
    base = [{"path": str(one), "weight": weight} for one, weight in place.weighted("base_lora")]
    requests = []
    for prompt, seed in wanted:
        request = picture_request(place, {**values, "prompt": prompt, "seed": seed})
        own = [asdict(use) | {"path": str(use.path)} for use in request.loras]
        requests.append({**values, "prompt": request.prompt, "seed": seed, "loras": [*base, *own]})
    told = place.scratch / "requests.json"
    arguments = ["--checkpoint", str(place.path("checkpoint"))]
    arguments += ["--prediction", str(place.params["prediction"])]
    for path in place.paths("vae"):
        arguments += ["--vae", str(path)]
    arguments += ["--device", str(place.params["device"]), "--requests", str(told)]
    paths, walks = [str(picture) for picture, _ in files], [str(walk) for _, walk in files]
    text = json.dumps({"requests": requests, "paths": paths, "walks": walks}, indent=1, ensure_ascii=False)
    return module_command("generate", *arguments, files=((told, text + "\n"),))


def _size_of(path: Path) -> tuple[int, int]:
    # Here, not above: Pillow is not needed to read a plan.
    from lib_copier.image.files import read_picture

    return read_picture(path).image.size
