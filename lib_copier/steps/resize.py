"""Step 9: a lower rank, which keeps what matters and leaves noise behind."""

from __future__ import annotations

from lib_copier.engines.task import Command, ResizeTask
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps.parts import (
    LORA,
    LORA_OUTPUT,
    device_of,
    engine_command,
    engine_for,
    fixed,
    merge_device,
)
from lib_copier.steps.records import settle

_NAMES = ("rank", "conv_rank", "dynamic_method", "dynamic_param", "save_precision")


def step(recipe: Recipe, edit: Edit, *, after: str, step_id: str = "") -> Step:
    """``resize/EDIT``: lora.safetensors; where it is switched off, the LoRA of the step before."""
    step_id = step_id or f"resize/{edit.name}"
    if not recipe.get("resize.enabled", edit):
        return Step(step_id, "resize", None, outputs=LORA_OUTPUT, same_as=after, note="switched off")
    return Step(
        step_id,
        "resize",
        _resize,
        inputs=(StepInput("lora", step=after, output=LORA),),
        params=fixed({name: recipe.get(f"resize.{name}", edit) for name in _NAMES}),
        outputs=LORA_OUTPUT,
        cosmetic=device_of(recipe),
        engine=engine_for(recipe, "resize"),
        finish=settle,
    )


def _resize(place: Workplace) -> Command:
    params = place.params
    method = None if params["dynamic_method"] == "none" else str(params["dynamic_method"])
    task = ResizeTask(
        lora=place.path("lora"),
        output=place.out / LORA,
        new_rank=int(params["rank"]),
        new_conv_rank=params["conv_rank"],
        dynamic_method=method,
        dynamic_param=float(params["dynamic_param"]) if method else None,
        save_precision=str(params["save_precision"]),
        device=merge_device(place),
    )
    return engine_command(place, task)
