"""What a study hands over: finished LoRAs of a variant, the mean of the best, a project to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lib_copier.engines.choose import engine_version
from lib_copier.errors import InputError
from lib_copier.files.disk import copy_file, move
from lib_copier.graph.events import Listener
from lib_copier.graph.inputs import require_whole
from lib_copier.graph.runner import Runner
from lib_copier.graph.status import Inspector, StepStatus
from lib_copier.graph.step import Plan, StepInput
from lib_copier.graph.store import Artifact, Store
from lib_copier.recipe.model import Recipe
from lib_copier.steps.copy_out import copy_out
from lib_copier.steps.device import device_lock
from lib_copier.steps.intake import copy_taken_in
from lib_copier.steps.parts import LORA
from lib_copier.steps.plan import plan, plan_of_mean
from lib_copier.steps.project import Project
from lib_copier.study.score import MEASURED, WAITING
from lib_copier.study.study import Study
from lib_copier.study.variants import Variant, with_ending

_ALIKE = ("project.checkpoint", "project.vae", "project.method", "difference.sign")
"""What LoRAs have in common whose mean says something."""


def best(study: Study, count: int) -> list[Variant]:
    """The best variants of those that were measured to the end.

    Raises
    ------
    InputError
        Where there are fewer.
    """
    outcomes = study.climb()
    found = [one for one in study.ranked(outcomes) if outcomes[one.number].state == MEASURED]
    if len(found) < count:
        is_over = all(outcome.state != WAITING for outcome in outcomes.values())
        advice = "Publish fewer, or another one by `--variant`." if is_over else "`study run` goes on."
        raise InputError(
            f"Measured to the end: {len(found)} of {len(outcomes)} variants of {study.name}; {count} wanted.",
            f"{advice} `study status` tells what became of each.",
        )
    return found[:count]


def winner(study: Study) -> Variant:
    """The best variant."""
    return best(study, 1)[0]


def publish(study: Study, variant: Variant, target: Path, listener: Listener | None = None) -> list[Path]:
    """Copy a variant's finished LoRAs, with preview, card and recipe, into a folder; the copies.

    Raises
    ------
    GoalError
        Where a slider missed its goal: `take` it, and accept it there.
    """
    recipe = study.recipe(variant)
    return _published(study, recipe, plan(recipe), target, listener)


def publish_mean(study: Study, count: int, target: Path, listener: Listener | None = None) -> list[Path]:
    """The same of the mean of the best variants: each calibrated LoRA at 1/count, the sum at the best one's
    rank, calibrated and tried as any.

    Raises
    ------
    InputError
        Where there are too few, or they are not alike enough to be mixed.
    """
    chosen = best(study, count)
    recipes = [study.recipe(one) for one in chosen]
    first = recipes[0]
    others = [key for key in _ALIKE if any(one.get(key) != first.get(key) for one in recipes)]
    if others or any({e.name for e in one.edits} != {e.name for e in first.edits} for one in recipes):
        raise InputError(
            f"The best {count} differ in {', '.join(others) or 'their edits'}: their mean is no slider.",
            "Publish one of them.",
        )
    name = with_ending(str(study.question.recipe.get("project.name")), f"-mean-{count}")
    loras = {
        edit.name: tuple(_lora_of(study, recipe, edit.name, 1.0 / count) for recipe in recipes)
        for edit in first.edits
    }
    recipe = first.with_settings({"project.name": name})
    return _published(study, recipe, plan_of_mean(recipe, loras), target, listener)


def take(study: Study, variant: Variant, folder: Path) -> Project:
    """An ordinary project with a variant's recipe and all that was made of it."""
    recipe = study.recipe(variant)
    project = Project.create(folder)
    try:
        copy_taken_in(study.folder, project.folder)
        project.replace_recipe(recipe.with_settings({"project.name": recipe.get("project.name")}))
    except BaseException:
        project.discard()
        raise
    for status in _statuses(study, plan(recipe)):
        if status.artifact is not None and not status.step.same_as:
            adopt(status.artifact, project.store)
    return project


def adopt(artifact: Artifact, store: Store) -> None:
    """Copy an artifact into another store, where it is found by the same key."""
    target = store.folder / artifact.key
    if target.exists():
        return
    out, _ = store.begin(artifact.key)
    for path in sorted(artifact.folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            copy = out / path.relative_to(artifact.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, copy)
    store.folder.mkdir(parents=True, exist_ok=True)
    move(out, target)


def _published(
    study: Study, recipe: Recipe, steps: Plan, target: Path, listener: Listener | None
) -> list[Path]:
    if not target.is_dir():
        raise InputError(f"{target} is no folder.", "Make it, or name another one.")
    wanted = [step.id for step in steps if step.kind == "publish"]
    Runner(
        steps.up_to(wanted),
        study.store,
        study.folders,
        engine_version,
        listener=listener,
        device_lock=device_lock(str(recipe.get("project.device"))),
    ).run()
    made: list[Path] = []
    for status in _statuses(study, steps):
        if status.id in wanted and status.artifact is not None:
            names = list(status.artifact.manifest["files"])
            require_whole(status.artifact, names, study.store, status.id)
            made += copy_out(map(status.artifact.file, names), target, study.folder)
    return made


def _lora_of(study: Study, recipe: Recipe, edit: str, weight: float) -> StepInput:
    """The calibrated LoRA of a variant that was measured, as a file of the study."""
    found = next(one for one in _statuses(study, plan(recipe)) if one.id == f"calibrate/{edit}")
    assert found.artifact is not None, "a measured variant has its LoRA"
    path = found.artifact.file(LORA).relative_to(study.folder)
    return StepInput("lora", path=path.as_posix(), weight=weight)


def _statuses(study: Study, steps: Plan) -> Sequence[StepStatus]:
    return Inspector(steps, study.store, study.folder, engine_version).all()
