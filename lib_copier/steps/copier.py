"""Step 2: the copier LoRA, overfitted on one picture; method B trains a second one on the edited picture."""

from __future__ import annotations

from lib_copier.engines.task import Command
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.steps import training
from lib_copier.steps.parts import LORA, Model


def step(recipe: Recipe, origin: Origin, model: Model) -> Step:
    """``copier/ORIGIN``."""
    inputs = training.picture_inputs(f"origin/{origin.name}", origin)
    return training.step(f"copier/{origin.name}", recipe, "copier", model, inputs, changes=_looks(recipe))


def on(recipe: Recipe, origin: Origin, model: Model) -> Model:
    """The copier model: the base model with the copier LoRA on it, in memory."""
    return model.with_lora(f"copier/{origin.name}", recipe.number("copier_model.weight"))


def edited_step(recipe: Recipe, edit: Edit, origin: Origin, model: Model) -> Step:
    """``edited_copier/ORIGIN/EDIT``: trained as the copier was, only its picture differs."""
    inputs = (
        *training.picture_inputs(f"edit/{origin.name}/{edit.name}", origin),
        StepInput("copier", step=f"copier/{origin.name}", output=LORA),
    )
    step_id = f"edited_copier/{origin.name}/{edit.name}"
    changes = _looks(recipe)
    return training.step(step_id, recipe, "copier", model, inputs, action=_train_edited, changes=changes)


def _looks(recipe: Recipe) -> dict[str, float]:
    """While it is trained a copier is looked at with the guidance of its check."""
    return {"look_cfg_scale": recipe.number("check.cfg_scale")}


def _train_edited(place: Workplace) -> Command:
    """Step by step the way of the copier: else their noise and rates differ too."""
    return training.train(place, **training.followed(place.result("copier")))
