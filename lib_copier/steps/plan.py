"""The method: from a recipe to its steps. Nothing is started; of files, only checkpoints' headers are read.

Method A trains a copier on each origin, learns each edit on the copier's model, joins the edit LoRAs of
all origins, and lowers the rank. Method B trains a second copier on each edited picture and subtracts.
"""

from __future__ import annotations

from collections.abc import Iterator

from lib_copier.graph.step import Plan, Step, StepInput
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.steps import (
    base,
    caption,
    check,
    control,
    copier,
    copier_model,
    difference,
    edit,
    edit_lora,
    merge,
    origin,
    publish,
    resize,
    survival,
    svd,
    sweep,
)
from lib_copier.steps.parts import Model


def plan(recipe: Recipe) -> Plan:
    """All steps of a recipe, in the order in which they run."""
    # 0 (optional): what must not be learned goes into the base model first.
    base_steps, model = base.steps(recipe)
    steps = list(base_steps)
    # 1–3: for each origin a copier, and the model that prints this picture whatever the prompt.
    copier_models: dict[str, Model] = {}
    for one in recipe.origins:
        steps.append(origin.step(recipe, one, model))
        steps.append(caption.step(recipe, one))
        steps.append(copier.step(recipe, one, model))
        if recipe.method == "copier":
            model_steps, copier_models[one.name] = copier_model.steps(recipe, one, model)
            steps += model_steps
        if recipe.get("check.enabled"):
            steps.append(
                check.step(recipe, one, copier_models.get(one.name) or copier.on(recipe, one, model))
            )
    for each in recipe.edits if recipe.origins else ():
        if recipe.method == "copier":
            steps += _learned_on_the_copier(recipe, each, copier_models, model)
        else:
            steps += _subtracted(recipe, each, model)
        steps += _looked_at(recipe, each, model, steps[-1])
    return Plan(tuple(steps))


def _learned_on_the_copier(
    recipe: Recipe, one: Edit, copier_models: dict[str, Model], base_model: Model
) -> Iterator[Step]:
    """Method A. 4, 5: edit, edit LoRA; 6, 7: the same for all origins, merged; 8, 9: difference, rank."""
    for picture in recipe.origins:
        yield from _edited(recipe, one, picture, base_model)
        yield edit_lora.step(recipe, one, picture, copier_models[picture.name])
    yield merge.step(recipe, one, base_model)
    if recipe.get("project.end") == "edit_lora":
        return
    yield difference.step(recipe, one, base_model)
    yield resize.step(recipe, one, after=f"difference/{one.name}")


def _subtracted(recipe: Recipe, one: Edit, model: Model) -> Iterator[Step]:
    """Method B. 3 and 4: edit, a copier of the edited picture; 5: one copier minus the other."""
    for picture in recipe.origins:
        yield from _edited(recipe, one, picture, model)
        yield copier.edited_step(recipe, one, picture, model)
    yield svd.step(recipe, one)


def _edited(recipe: Recipe, one: Edit, picture: Origin, model: Model) -> Iterator[Step]:
    """The edited picture, and whether the VAE keeps the edit."""
    yield edit.step(recipe, one, picture)
    if recipe.get("edit.check_vae"):
        yield survival.step(recipe, one, picture, model)


def _looked_at(recipe: Recipe, one: Edit, model: Model, finished: Step) -> Iterator[Step]:
    """The finished LoRA at many weights, beside one trained the ordinary way; then its publication."""
    lora = StepInput("lora", step=finished.id, output=finished.outputs[0].name)
    if recipe.get("sweep.enabled"):
        yield sweep.step(recipe, one, model, lora)
        if recipe.get("sweep.control"):
            yield from control.steps(recipe, one, model)
    yield publish.step(recipe, one, lora)
