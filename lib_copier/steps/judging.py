"""The pictures that a LoRA is judged by: prompts, seeds and sampling, the same for check and sweep."""

from __future__ import annotations

from typing import Any

from lib_copier.graph.step import Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps.parts import Model, fixed
from lib_copier.steps.prompts import pairs

_SAMPLING = ("negative_prompt", "steps", "cfg_scale", "clip_skip", "sampler")


def judging_params(
    recipe: Recipe, group: str, model: Model, edit: Edit | None = None
) -> tuple[tuple[str, Any], ...]:
    """The settings of `group` (``check`` or ``sweep``) that decide those pictures."""
    found = pairs(
        recipe.texts(f"{group}.prompts", edit),
        recipe.whole(f"{group}.pairs", edit),
        recipe.whole(f"{group}.seed", edit),
    )
    values = {name: recipe.get(f"{group}.{name}", edit) for name in _SAMPLING}
    return fixed({**values, "prediction": model.prediction, "pairs": found})


def judged_pictures(place: Workplace) -> dict[str, Any]:
    """The same in the words of `lib_copier.measure`'s jobs."""
    params = place.params
    sampling = {name: params[name] for name in _SAMPLING}
    if params.get("size"):
        sampling["width"], sampling["height"] = params["size"]
    return {
        "prompts": [{"prompt": prompt, "seed": seed} for prompt, seed in params["pairs"]],
        "sampling": sampling,
    }
