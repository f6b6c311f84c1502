"""The method: from a recipe to its steps. Nothing is started; of files, only checkpoints' headers are read.

Method A trains a copier on each origin, learns each edit on the copier's model, joins the edit LoRAs of
all origins, and lowers the rank. Method B trains a second copier on each edited picture and subtracts.
Method C trains no copier: it draws many pictures, edits each, and learns one LoRA of all these pairs.
All end in the same calibration: weight 1 is the edit.
No step builds on a failed one: what `waits_for` names must have reached its goal, or be accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from lib_copier.graph.step import Plan, Step, StepInput
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps import (
    base,
    calibrate,
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
    pairs,
    pictures,
    publish,
    resize,
    rule,
    survival,
    svd,
    sweep,
    walk,
)
from lib_copier.steps.parts import LORA, Model


def plan(recipe: Recipe, *, is_published: bool = True) -> Plan:
    """All steps of a recipe, in the order in which they run; who only looks at sliders publishes none."""
    recipe = recipe.as_made()
    # 0 (optional): what must not be learned goes into the base model first.
    base_steps, model = base.steps(recipe)
    steps = list(base_steps)
    # 1–3: for each origin a copier, and the model that prints this picture whatever the prompt; or, in
    # method C, further pictures, or the ways to these.
    copier_models: dict[str, Model] = {}
    for one in recipe.origins:
        steps.append(origin.step(recipe, one, model))
        steps.append(caption.step(recipe, one))
        if recipe.method == "pairs":
            continue
        steps.append(_remarked(recipe, "check.enabled", copier.step(recipe, one, model)))
        if recipe.method == "copier":
            model_steps, copier_models[one.name] = copier_model.steps(recipe, one, model)
            steps += model_steps
        if recipe.get("check.enabled"):
            steps.append(
                check.step(recipe, one, copier_models.get(one.name) or copier.on(recipe, one, model))
            )
    is_of_pairs = recipe.method == "pairs" and bool(recipe.origins)
    if is_of_pairs and any(pairs.drawn_names(recipe, each) for each in recipe.edits):
        steps.append(pictures.step(recipe, model))
    if is_of_pairs and not all(each.effects for each in recipe.edits) and recipe.draws_alike:
        steps += [walk.step(recipe, one, model) for one in recipe.origins]
    for each in recipe.edits if recipe.origins else ():
        if recipe.method == "copier":
            steps += _learned_on_the_copier(recipe, each, copier_models, model)
        elif recipe.method == "difference":
            steps += _subtracted(recipe, each, model)
        else:
            steps += _learned_from_pairs(recipe, each, model)
        steps.append(calibrate.step(recipe, each, model, finished=steps[-1]))
        steps += _looked_at(recipe, each, model, is_published=is_published)
    return Plan(tuple(steps))


def plan_of_mean(recipe: Recipe, loras: Mapping[str, tuple[StepInput, ...]]) -> Plan:
    """The method's end for LoRAs that are there, by edit: their weighted sum, its rank, and what follows."""
    recipe = recipe.as_made()
    base_steps, model = base.steps(recipe)
    steps = [*base_steps, *(origin.step(recipe, one, model) for one in recipe.origins)]
    for each in recipe.edits:
        steps += _edited(recipe, each, model)
        steps.append(merge.of_loras(recipe, each, loras[each.name]))
        steps.append(resize.step(recipe, each, after=steps[-1].id))
        steps.append(calibrate.step(recipe, each, model, finished=steps[-1]))
        steps += _looked_at(recipe.with_settings({"sweep.control": False}), each, model, is_published=True)
    return Plan(tuple(steps))


def _learned_on_the_copier(
    recipe: Recipe, one: Edit, copier_models: dict[str, Model], base_model: Model
) -> Iterator[Step]:
    """Method A. 4, 5: edit, edit LoRA; 6, 7: the same for all origins, merged; 8, 9: difference, rank."""
    yield from _edited(recipe, one, base_model)
    for picture in recipe.origins:
        learned = edit_lora.step(recipe, one, picture, copier_models[picture.name])
        yield replace(learned, waits_for=_proven(recipe, one))
    yield merge.step(recipe, one, base_model)
    if recipe.get("project.end") == "edit_lora":
        return
    yield difference.step(recipe, one, base_model)
    yield resize.step(recipe, one, after=f"difference/{one.name}")


def _subtracted(recipe: Recipe, one: Edit, model: Model) -> Iterator[Step]:
    """Method B. 3 and 4: edit, a copier of the edited picture; 5: one copier minus the other."""
    yield from _edited(recipe, one, model)
    for picture in recipe.origins:
        yield replace(copier.edited_step(recipe, one, picture, model), waits_for=_proven(recipe, one))
    yield svd.step(recipe, one)


def _learned_from_pairs(recipe: Recipe, one: Edit, model: Model) -> Iterator[Step]:
    """Method C. 4: the edit on every picture; 5: one edit LoRA of all pairs; 9: rank."""
    yield from _edited(recipe, one, model)
    yield pairs.step(recipe, one)
    yield replace(edit_lora.of_pairs(recipe, one, model), waits_for=_proven(recipe, one))
    if recipe.get("project.end") != "edit_lora":
        yield resize.step(recipe, one, after=f"edit_lora/{one.name}")


def _edited(recipe: Recipe, one: Edit, model: Model) -> Iterator[Step]:
    """The edited pictures, whether the VAE keeps the edit, and the rule of what was retouched by hand."""
    for picture in recipe.origins:
        yield _remarked(recipe, "edit.check_vae", edit.step(recipe, one, picture))
        if recipe.get("edit.check_vae"):
            yield survival.step(recipe, one, picture, model)
    if rule.is_sought(recipe, one):
        yield rule.step(recipe, one)


def _proven(recipe: Recipe, one: Edit) -> tuple[str, ...]:
    """What an edit's training waits for: copiers that are some, and an edit that the VAE keeps everywhere."""
    names = [picture.name for picture in recipe.origins]
    has_checks = recipe.get("check.enabled") and recipe.method != "pairs"
    checks = [f"check/{name}" for name in names] if has_checks else []
    survivals = [f"survival/{name}/{one.name}" for name in names] if recipe.get("edit.check_vae") else []
    return (*checks, *survivals)


def _looked_at(recipe: Recipe, one: Edit, model: Model, *, is_published: bool) -> Iterator[Step]:
    """The finished LoRA at many weights, beside one trained the ordinary way; then its publication."""
    lora = StepInput("lora", step=f"calibrate/{one.name}", output=LORA)
    if recipe.get("sweep.enabled"):
        yield sweep.judged_step(recipe, one, model, lora)
        if recipe.get("sweep.control"):
            yield from (
                replace(each, waits_for=_proven(recipe, one)) for each in control.steps(recipe, one, model)
            )
    if is_published:
        published = publish.step(recipe, one, lora)
        # A slider that does not follow its weight is published by nobody but its maker.
        judged = (f"sweep/{one.name}",) if recipe.get("sweep.enabled") else ()
        yield _remarked(recipe, "sweep.enabled", replace(published, waits_for=judged))


def _remarked(recipe: Recipe, key: str, step: Step) -> Step:
    """A step whose result nothing looks at says so."""
    return step if recipe.get(key) else replace(step, note=f"nothing holds it back: {key} is off")
