"""Step 0, optional: style LoRAs go into the base model, so that the edit LoRA need not learn the style."""

from __future__ import annotations

from dataclasses import replace

from lib_copier.engines.task import Command, MergeTask
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.option import split_weighted
from lib_copier.recipe.model import Recipe
from lib_copier.steps import training
from lib_copier.steps.folder import pictures_in
from lib_copier.steps.parts import (
    CHECKPOINT,
    Model,
    checkpoint_model,
    device_of,
    engine_command,
    engine_for,
    merge_device,
)
from lib_copier.training import WeightedLora


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
    found.append(
        Step(
            "base",
            "base",
            _merge,
            inputs=conditioned.inputs,
            params=(("prediction", conditioned.prediction),),
            outputs=(Output(CHECKPOINT, "checkpoint"),),
            cosmetic=device_of(recipe),
            engine=engine_for(recipe, "merge"),
        )
    )
    return found, conditioned.as_file("base")


def _style_step(recipe: Recipe, model: Model) -> Step:
    pictures = StepInput("pictures", path=str(recipe.get("base.folder")))
    # A folder holds photos of any size, which an origin or its edit never is.
    changes = {"bucketed": True}
    return training.step("base_lora", recipe, "base", model, [pictures], action=_train, changes=changes)


def _train(place: Workplace) -> Command:
    pictures, notes = pictures_in(place.path("pictures"))
    command = training.training_command(place, pictures)
    return replace(command, notes=(*command.notes, *notes))


def _merge(place: Workplace) -> Command:
    loras = tuple(WeightedLora(path, weight) for path, weight in place.weighted("base_lora"))
    task = MergeTask(
        loras,
        place.out / CHECKPOINT,
        checkpoint=place.path("checkpoint"),
        prediction=str(place.params["prediction"]),
        save_precision="float",
        device=merge_device(place),
    )
    return engine_command(place, task)
