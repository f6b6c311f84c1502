"""Step 5: the edit LoRA, trained on the edited picture on the copier model: all that is new is the edit."""

from __future__ import annotations

from lib_copier.graph.step import Step, StepInput
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.steps import training
from lib_copier.steps.edit import MASK
from lib_copier.steps.parts import PICTURE, Model


def step(recipe: Recipe, edit: Edit, origin: Origin, copier_model: Model) -> Step:
    """``edit_lora/ORIGIN/EDIT``."""
    source = f"edit/{origin.name}/{edit.name}"
    inputs = [*training.picture_inputs(source, origin)]
    if recipe.get("edit_lora.mask", edit):
        inputs.append(StepInput("mask", step=source, output=MASK))
    if recipe.get("edit_lora.against_origin", edit):
        inputs.append(StepInput("origin", step=f"origin/{origin.name}", output=PICTURE))
    step_id = f"edit_lora/{origin.name}/{edit.name}"
    return training.step(step_id, recipe, "edit_lora", copier_model, inputs, edit=edit)
