"""The pictures that a LoRA is judged by: prompts, seeds and sampling, for check, calibration and sweep."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lib_copier.graph.step import Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps.parts import Model, fixed, picture_request
from lib_copier.steps.prompts import USUAL, pairs
from lib_copier.txt2img.pictures import SETTINGS

_SAMPLING = [name for name in SETTINGS if name not in ("prompt", "seed", "width", "height")]


def judging_params(
    recipe: Recipe, group: str, model: Model, edit: Edit | None = None
) -> tuple[tuple[str, Any], ...]:
    """The settings of `group` (``check``, ``calibrate`` or ``sweep``) that decide those pictures.

    What a slider is calibrated on is sampled as its sweep is.
    """
    sampled = "sweep" if group == "calibrate" else group
    found = pairs(
        recipe.texts(f"{group}.prompts", edit) or USUAL[group],
        recipe.whole(f"{group}.pairs", edit),
        recipe.whole(f"{group}.seed", edit),
    )
    values = {name: recipe.get(f"{sampled}.{name}", edit) for name in _SAMPLING}
    return fixed({**values, "prediction": model.prediction, "pairs": found})


def judged_pictures(place: Workplace) -> dict[str, Any]:
    """The same in the words of `lib_copier.measure`'s jobs."""
    params = place.params
    sampling = {name: params[name] for name in _SAMPLING}
    if params.get("size"):
        sampling["width"], sampling["height"] = params["size"]
    prompts = []
    for text, seed in params["pairs"]:
        request = picture_request(place, {"prompt": text, "seed": seed})
        loras = [asdict(use) | {"path": str(use.path)} for use in request.loras]
        prompts.append({"prompt": request.prompt, "seed": seed} | ({"loras": loras} if loras else {}))
    return {"prompts": prompts, "sampling": sampling}
