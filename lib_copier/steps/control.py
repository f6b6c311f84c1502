"""The control: a LoRA trained the ordinary way on the edited pictures alone, judged as ours is.

Without it nobody could tell whether the copier is worth its trouble.
"""

from __future__ import annotations

from collections.abc import Iterator

from lib_copier.engines.task import Command, Picture
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps import resize, sweep
from lib_copier.steps.parts import (
    CAPTION,
    LORA,
    LORA_OUTPUT,
    PICTURE,
    Model,
    engine_for,
    fixed,
    read_caption,
)
from lib_copier.steps.training import cosmetic_params, keep_records, training_command, training_params

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
    group = "edit_lora" if recipe.method == "copier" else "copier"
    pictures = [
        given
        for origin in recipe.origins
        for given in (
            StepInput("picture", step=f"edit/{origin.name}/{edit.name}", output=PICTURE),
            StepInput("caption", step=f"caption/{origin.name}", output=CAPTION),
        )
    ]
    return Step(
        f"control_lora/{edit.name}",
        "control_lora",
        _train,
        inputs=(*model.inputs, *pictures),
        params=fixed({**dict(training_params(recipe, group, edit)), **_ORDINARY}),
        outputs=LORA_OUTPUT,
        cosmetic=cosmetic_params(recipe, group, edit),
        engine=engine_for(recipe, group),
        finish=keep_records,
    )


def _train(place: Workplace) -> Command:
    pairs = zip(place.paths("picture"), place.paths("caption"), strict=True)
    pictures = tuple(Picture(picture, read_caption(caption)) for picture, caption in pairs)
    return training_command(place, pictures, copied_psnr=None)
