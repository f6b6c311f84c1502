"""Method B's last step: the edited pictures' copiers minus the origins', at a low rank."""

from __future__ import annotations

from lib_copier.engines.task import Command, SvdMergeTask
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps.merge import each_weight
from lib_copier.steps.parts import (
    LORA,
    LORA_OUTPUT,
    device_of,
    engine_command,
    engine_for,
    fixed,
    merge_device,
    weighted_loras,
)
from lib_copier.steps.records import settle


def step(recipe: Recipe, edit: Edit) -> Step:
    """``svd/EDIT``: lora.safetensors; a positive weight adds the edit, with the memo's sign it removes it."""
    share = each_weight(recipe) * (1.0 if recipe.get("difference.sign") == "edit" else -1.0)
    loras = []
    for origin in recipe.origins:
        edited = f"edited_copier/{origin.name}/{edit.name}"
        loras.append(StepInput("lora", step=edited, output=LORA, weight=share))
        loras.append(StepInput("lora", step=f"copier/{origin.name}", output=LORA, weight=-share))
    names = ("rank", "conv_rank", "save_precision")
    return Step(
        f"svd/{edit.name}",
        "svd",
        _subtract,
        inputs=tuple(loras),
        params=fixed({name: recipe.get(f"resize.{name}", edit) for name in names}),
        outputs=LORA_OUTPUT,
        cosmetic=device_of(recipe),
        engine=engine_for(recipe, "difference"),
        finish=settle,
    )


def _subtract(place: Workplace) -> Command:
    params = place.params
    task = SvdMergeTask(
        weighted_loras(place, "lora"),
        place.out / LORA,
        new_rank=int(params["rank"]),
        new_conv_rank=params["conv_rank"],
        save_precision=str(params["save_precision"]),
        device=merge_device(place),
    )
    return engine_command(place, task)
