"""Step 2: the copier LoRA, overfitted on one picture; method B trains a second one on the edited picture."""

from __future__ import annotations

from lib_copier.engines.task import Command, Picture
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.steps.parts import CAPTION, LORA, LORA_OUTPUT, PICTURE, Model, engine_for, read_caption
from lib_copier.steps.training import (
    cosmetic_params,
    keep_records,
    steps_trained,
    training_command,
    training_params,
)


def step(recipe: Recipe, origin: Origin, model: Model) -> Step:
    """``copier/ORIGIN``: lora.safetensors, and the loss curve."""
    return Step(
        f"copier/{origin.name}",
        "copier",
        _train,
        inputs=(
            *model.inputs,
            StepInput("picture", step=f"origin/{origin.name}", output=PICTURE),
            StepInput("caption", step=f"caption/{origin.name}", output=CAPTION),
        ),
        params=training_params(recipe, "copier"),
        outputs=LORA_OUTPUT,
        cosmetic=cosmetic_params(recipe, "copier"),
        engine=engine_for(recipe, "copier"),
        finish=keep_records,
    )


def on(recipe: Recipe, origin: Origin, model: Model) -> Model:
    """The copier model: the base model with the copier LoRA on it, in memory."""
    return model.with_lora(f"copier/{origin.name}", recipe.number("copier_model.weight"))


def edited_step(recipe: Recipe, edit: Edit, origin: Origin, model: Model) -> Step:
    """``edited_copier/ORIGIN/EDIT``: trained as the copier was, only its picture differs."""
    return Step(
        f"edited_copier/{origin.name}/{edit.name}",
        "edited_copier",
        _train_edited,
        inputs=(
            *model.inputs,
            StepInput("picture", step=f"edit/{origin.name}/{edit.name}", output=PICTURE),
            StepInput("caption", step=f"caption/{origin.name}", output=CAPTION),
            StepInput("copier", step=f"copier/{origin.name}", output=LORA),
        ),
        params=training_params(recipe, "copier"),
        outputs=LORA_OUTPUT,
        cosmetic=cosmetic_params(recipe, "copier"),
        engine=engine_for(recipe, "copier"),
        finish=keep_records,
    )


def _train(place: Workplace) -> Command:
    picture = Picture(place.path("picture"), read_caption(place.path("caption")))
    return training_command(place, (picture,))


def _train_edited(place: Workplace) -> Command:
    """The copier may have stopped early: its twin takes exactly as many steps, else their noise differs."""
    origin = place.step.id.split("/")[1]
    taken = steps_trained(place.results[f"copier/{origin}"], int(place.params["steps"]))
    picture = Picture(place.path("picture"), read_caption(place.path("caption")))
    return training_command(place, (picture,), steps=taken, copied_psnr=None)
