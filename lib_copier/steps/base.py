"""Step 0, optional: style LoRAs go into the base model, so that the edit LoRA need not learn the style."""

from __future__ import annotations

from dataclasses import replace

from lib_copier.engines.task import Command
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.recipe.model import Recipe
from lib_copier.settings.option import split_weighted
from lib_copier.steps import training
from lib_copier.steps.folder import pictures_in
from lib_copier.steps.parts import Model, checkpoint_model, model_file


def steps(recipe: Recipe) -> tuple[list[Step], Model]:
    """The steps that condition the base model (often none), and the model that all others start from."""
    found: list[Step] = []
    model = checkpoint_model(recipe)
    if recipe.get("base.train_style"):
        found.append(_style_step(recipe, model))
    conditioned = model
    for text in recipe.texts("base.loras"):
        path, weight = split_weighted(text)
        conditioned = conditioned.with_lora("", weight, path=path)
    if recipe.get("base.train_style"):
        conditioned = conditioned.with_lora("base_lora", recipe.number("base.weight"))
    if not conditioned.lora_inputs or not recipe.get("base.as_file"):
        return found, conditioned
    return [*found, model_file(recipe, "base", conditioned)], conditioned.as_file("base")


def _style_step(recipe: Recipe, model: Model) -> Step:
    pictures = StepInput("pictures", path=str(recipe.get("base.folder")))
    # A folder holds photos of any size, which an origin or its edit never is.
    changes = {"bucketed": True}
    return training.step("base_lora", recipe, "base", model, [pictures], action=_train, changes=changes)


def _train(place: Workplace) -> Command:
    pictures, notes = pictures_in(place.path("pictures"))
    command = training.training_command(place, pictures)
    return replace(command, notes=(*command.notes, *notes))
