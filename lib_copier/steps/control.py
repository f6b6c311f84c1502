"""The control: a LoRA trained the ordinary way on the edited pictures alone, judged as ours is.

Without it nobody could tell whether the copier is worth its trouble.
"""

from __future__ import annotations

from collections.abc import Iterator

from lib_copier.engines.task import Command
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps import resize, sweep, training
from lib_copier.steps.parts import LORA, Model

_WEIGHTS = (-1.0, 0.0, 1.0)
"""Enough to see its effect and its leak."""

_ORDINARY = {
    # With other prompts in the caption's place the picture would leak all the more.
    "other_prompt_share": 0.0,
    "other_prompts": (),
    # Every layer, and no convolutions: what trainers do unless they are told otherwise.
    "layers": (),
    "conv_rank": None,
    "conv_alpha": None,
}
"""Where the ordinary way differs from the settings of the edit LoRA."""


def steps(recipe: Recipe, edit: Edit, model: Model) -> Iterator[Step]:
    """``control_lora/EDIT``, ``control_resize/EDIT``, ``control/EDIT``: the edit LoRA's settings."""
    yield _train_step(recipe, edit, model)
    resized = f"control_resize/{edit.name}"
    yield resize.step(recipe, edit, after=f"control_lora/{edit.name}", step_id=resized)
    lora = StepInput("lora", step=resized, output=LORA)
    yield sweep.step(
        recipe,
        edit,
        model,
        lora,
        step_id=f"control/{edit.name}",
        tried=_WEIGHTS,
        plain_from=f"sweep/{edit.name}",
    )


def _train_step(recipe: Recipe, edit: Edit, model: Model) -> Step:
    group = "copier" if recipe.method == "difference" else "edit_lora"
    inputs = [
        given
        for origin in recipe.origins
        for given in training.picture_inputs(f"edit/{origin.name}/{edit.name}", origin)
    ]
    inputs.append(StepInput("like", step=_likened(recipe, edit), output=LORA))
    step_id = f"control_lora/{edit.name}"
    return training.step(step_id, recipe, group, model, inputs, edit=edit, action=_train, changes=_ORDINARY)


def _likened(recipe: Recipe, edit: Edit) -> str:
    """The step whose rates and number of steps the control has."""
    if recipe.method == "pairs":
        return f"edit_lora/{edit.name}"
    kind = "edit_lora" if recipe.method == "copier" else "edited_copier"
    return f"{kind}/{recipe.origins[0].name}/{edit.name}"


def _train(place: Workplace) -> Command:
    return training.train(place, **training.followed(place.result("like")))
