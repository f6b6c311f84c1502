"""Step 7: the edit LoRAs of all origins joined: into one LoRA, or as the memo does into the edit model."""

from __future__ import annotations

from lib_copier.engines.task import Command, MergeTask
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps.parts import (
    LORA,
    LORA_OUTPUT,
    Model,
    device_of,
    engine_command,
    engine_for,
    merge_device,
    model_file,
    weighted_loras,
)
from lib_copier.steps.records import settle


def step(recipe: Recipe, edit: Edit, base_model: Model) -> Step:
    """``merge/EDIT``: lora.safetensors, or model.safetensors on the memo's way; one pair needs no merge."""
    step_id = f"merge/{edit.name}"
    sources = [f"edit_lora/{one.name}/{edit.name}" for one in recipe.origins]
    weight = each_weight(recipe)
    if goes_through_checkpoints(recipe, edit):
        model = base_model
        for source in sources:
            model = model.with_lora(source, weight)
        return model_file(recipe, step_id, model)
    loras = tuple(StepInput("lora", step=source, output=LORA, weight=weight) for source in sources)
    if len(loras) == 1 and loras[0].weight == 1.0:
        note = "one pair: the edit LoRA as it is"
        return Step(step_id, "merge", None, outputs=LORA_OUTPUT, same_as=loras[0].step, note=note)
    return of_loras(recipe, edit, loras)


def of_loras(recipe: Recipe, edit: Edit, loras: tuple[StepInput, ...]) -> Step:
    """``merge/EDIT`` of some LoRAs at their weights, whoever made them."""
    return Step(
        f"merge/{edit.name}",
        "merge",
        _into_lora,
        inputs=loras,
        outputs=LORA_OUTPUT,
        cosmetic=device_of(recipe),
        engine=engine_for(recipe, "merge"),
        finish=settle,
    )


def goes_through_checkpoints(recipe: Recipe, edit: Edit) -> bool:
    """Whether steps 7 and 8 take the memo's way: merge into the base model, extract from the two."""
    return recipe.get("difference.way", edit) == "checkpoints" and recipe.get("project.end") != "edit_lora"


def each_weight(recipe: Recipe) -> float:
    """The weight of each pair's LoRA: its share of the mean, or 1 as in the memo."""
    return 1.0 / max(len(recipe.origins), 1) if recipe.get("merge.ratio") == "mean" else 1.0


def _into_lora(place: Workplace) -> Command:
    """Exact: the ranks add up, nothing is fitted; the resize lowers them again."""
    task = MergeTask(
        weighted_loras(place, "lora"), place.out / LORA, save_precision="float", device=merge_device(place)
    )
    return engine_command(place, task)
