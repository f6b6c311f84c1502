"""Step 8: the difference LoRA, edit model minus base model; from the LoRAs it needs no work at all."""

from __future__ import annotations

from lib_copier.engines.task import Command, ExtractTask
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps.merge import goes_through_checkpoints
from lib_copier.steps.parts import (
    CHECKPOINT,
    LORA,
    LORA_OUTPUT,
    Model,
    device_of,
    engine_command,
    engine_for,
    fixed,
    merge_device,
)
from lib_copier.steps.records import settle


def step(recipe: Recipe, edit: Edit, base_model: Model) -> Step:
    """``difference/EDIT``: lora.safetensors."""
    step_id = f"difference/{edit.name}"
    merged = f"merge/{edit.name}"
    if not goes_through_checkpoints(recipe, edit):
        # Base + LoRAs − base: the LoRAs themselves, to the last bit.
        note = "exact from the LoRAs: nothing to extract"
        return Step(step_id, "difference", None, outputs=LORA_OUTPUT, same_as=merged, note=note)
    return Step(
        step_id,
        "difference",
        _extract,
        inputs=(*base_model.inputs, StepInput("tuned", step=merged, output=CHECKPOINT)),
        params=fixed({f"{name}": recipe.get(f"difference.{name}", edit) for name in ("rank", "min_diff")}),
        outputs=LORA_OUTPUT,
        cosmetic=device_of(recipe),
        engine=engine_for(recipe, "difference"),
        finish=settle,
    )


def _extract(place: Workplace) -> Command:
    task = ExtractTask(
        original=place.path("checkpoint"),
        tuned=place.path("tuned"),
        output=place.out / LORA,
        rank=int(place.params["rank"]),
        min_diff=float(place.params["min_diff"]),
        save_precision="float",
        device=merge_device(place),
    )
    return engine_command(place, task)
