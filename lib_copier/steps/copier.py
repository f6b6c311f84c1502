"""Step 2: the copier LoRA, overfitted on one picture; method B trains a second one on the edited picture."""

from __future__ import annotations

from lib_copier.engines.task import Command
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.steps import training
from lib_copier.steps.folder import read_caption
from lib_copier.steps.parts import LORA, Model
from lib_copier.training import Picture


def step(recipe: Recipe, origin: Origin, model: Model) -> Step:
    """``copier/ORIGIN``."""
    inputs = training.picture_inputs(f"origin/{origin.name}", origin)
    return training.step(f"copier/{origin.name}", recipe, "copier", model, inputs)


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
    return training.step(step_id, recipe, "copier", model, inputs, action=_train_edited)


def _train_edited(place: Workplace) -> Command:
    """The copier may have stopped early: its twin ends where it did, else their noise and rates differ."""
    origin = place.step.id.split("/")[1]
    taken = place.results[f"copier/{origin}"].get("steps")
    picture = Picture(place.path("picture"), read_caption(place.path("caption")))
    # An engine that does not say how many steps it took took all.
    stop_after = taken if isinstance(taken, int) and taken > 0 else None
    return training.training_command(place, (picture,), stop_after=stop_after, copied_psnr=None)
