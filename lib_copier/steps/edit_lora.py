"""Step 5: the edit LoRA, trained on the edited picture on the copier model: all that is new is the edit."""

from __future__ import annotations

from lib_copier.engines.task import Command, Picture
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.steps.edit import MASK
from lib_copier.steps.parts import CAPTION, LORA_OUTPUT, PICTURE, Model, engine_for, read_caption
from lib_copier.steps.training import cosmetic_params, keep_records, training_command, training_params


def step(recipe: Recipe, edit: Edit, origin: Origin, copier_model: Model) -> Step:
    """``edit_lora/ORIGIN/EDIT``: lora.safetensors, and the loss curve."""
    source = f"edit/{origin.name}/{edit.name}"
    inputs = [
        *copier_model.inputs,
        StepInput("picture", step=source, output=PICTURE),
        StepInput("caption", step=f"caption/{origin.name}", output=CAPTION),
    ]
    if recipe.get("edit_lora.mask", edit):
        inputs.append(StepInput("mask", step=source, output=MASK))
    if recipe.get("edit_lora.against_origin", edit):
        inputs.append(StepInput("origin", step=f"origin/{origin.name}", output=PICTURE))
    return Step(
        f"edit_lora/{origin.name}/{edit.name}",
        "edit_lora",
        _train,
        inputs=tuple(inputs),
        params=training_params(recipe, "edit_lora", edit),
        outputs=LORA_OUTPUT,
        cosmetic=cosmetic_params(recipe, "edit_lora", edit),
        engine=engine_for(recipe, "edit_lora"),
        finish=keep_records,
    )


def _train(place: Workplace) -> Command:
    picture = Picture(
        place.path("picture"),
        read_caption(place.path("caption")),
        mask=next(iter(place.paths("mask")), None),
        origin=next(iter(place.paths("origin")), None),
    )
    return training_command(place, (picture,))
