"""Step 5: the edit LoRA. On the copier model all that is new is the edit; of many pairs, what they share."""

from __future__ import annotations

from typing import Any

from lib_copier.engines.task import Command
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.steps import pairs, training
from lib_copier.steps.edit import MASK
from lib_copier.steps.parts import PICTURE, Model

_PLAIN_RATE = 5.0
"""Times the learning rate: the plain answer, learned of pictures to which no walk is known, takes more."""


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


def of_pairs(recipe: Recipe, edit: Edit, model: Model) -> Step:
    """``edit_lora/EDIT``: method C's, one LoRA of all pairs on the model itself, each against its origin."""
    changes: dict[str, Any] = {
        "names": pairs.pair_names(recipe, edit),
        "captions": pairs.captions(recipe, edit),
        # Guidance compares with the empty prompt: what is learned with both holds at every scale of it.
        "other_prompts": ("",),
        "opposite": True,
    }
    if not edit.effects:
        changes["plain_rate"] = _PLAIN_RATE
    inputs = pairs.training_inputs(recipe, edit)
    step_id = f"edit_lora/{edit.name}"
    return training.step(
        step_id, recipe, "edit_lora", model, inputs, edit=edit, action=_train_on_pairs, changes=changes
    )


def _train_on_pairs(place: Workplace) -> Command:
    learned = pairs.learned(place)
    if any(picture.walk for picture in learned):
        return training.training_command(place, learned)
    rate = place.params["learning_rate"] * place.params["plain_rate"]
    return training.training_command(place, learned, learning_rate=rate)
