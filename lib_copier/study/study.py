"""A study: a folder with a recipe and its axes, and what was made of every variant.

``study.json`` says what is asked and never changes; ``artifacts/`` holds the steps of all variants by their
content keys, so that what variants share is there once; ``outcomes.json`` is what the last run came to.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib_copier.engines.choose import engine_version
from lib_copier.errors import FaultsError, InputError
from lib_copier.files.disk import found_object, read_json, write_json
from lib_copier.files.names import normal_name
from lib_copier.graph.folders import Folders, free_place
from lib_copier.graph.readings import Readings
from lib_copier.graph.running import Running, running
from lib_copier.graph.status import Inspector, StepStatus
from lib_copier.graph.step import Plan
from lib_copier.graph.store import Store
from lib_copier.recipe.check import faults
from lib_copier.recipe.model import Recipe
from lib_copier.steps.change import value_at
from lib_copier.steps.contents import content_faults
from lib_copier.steps.intake import copy_taken_in, with_files_inside
from lib_copier.steps.plan import plan
from lib_copier.steps.style_folder import take_in
from lib_copier.study.axes import Axis, Choice, after_each_other, applied
from lib_copier.study.joint import JointPlan, joint_plan
from lib_copier.study.question import Question, read_question
from lib_copier.study.rungs import Rung
from lib_copier.study.score import WAITING, Outcome, order, outcome_of, read_outcome
from lib_copier.study.variants import Variant, variants

STUDY_FILE = "study.json"
OUTCOMES_FILE = "outcomes.json"
_MOST_TOLD = 5
_QUICKLY_LOOKED_AT = 100
"""Variants: of more, a look at what lies on the disk takes seconds; the last run's record serves."""


class Study:
    """One study folder; make one with `create` or `open`."""

    def __init__(self, folder: Path, question: Question) -> None:
        self.folder = folder
        self.question = question
        self.variants = variants(question.axes, is_crossed=question.is_crossed)
        self.store = Store(folder)
        self.readings: Readings | None = None
        """Reads large files for a look that must not wait for them; None: a look reads them itself."""
        self.folders = Folders(folder)

    @classmethod
    def create(cls, folder: Path, question: Question, project: Path | None = None) -> Study:
        """Make a study in a new (or empty) folder; files that recipe and axes name are copied in.

        Relative paths in the recipe are those of the `project` that it came from.

        Raises
        ------
        InputError
            Where the folder holds something already, or a named file is missing.
        FaultsError
            What keeps variants from being run.
        """
        folder = free_place(folder)
        recipe = question.recipe
        name = str(recipe.get("project.name")) or normal_name(folder.name)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            if project is not None:
                copy_taken_in(project, folder)
            recipe = with_files_inside(recipe.with_settings({"project.name": name}), folder)
            if recipe.get("base.train_style"):
                given = Path(str(recipe.get("base.folder")))
                inside = take_in(given, folder) if given.is_absolute() else given.as_posix()
                recipe = recipe.with_settings({"base.folder": inside})
            found = after_each_other(question.axes, recipe)
            axes = tuple(_settled(axis, before, folder) for axis, before in found)
            asked = Question(recipe, axes, question.is_crossed, question.rungs, question.reduction)
            study = cls(folder, asked)
            study.require_sound()
            write_json(folder / STUDY_FILE, asked.to_json())
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return study

    @classmethod
    def open(cls, folder: Path) -> Study:
        """The study in a folder.

        Raises
        ------
        InputError, FaultsError
            Where there is none, or it cannot be read.
        """
        folder = folder.absolute()
        if not (folder / STUDY_FILE).is_file():
            raise InputError(f"{folder} holds no study.", "Make one with `study new`, or check the path.")
        found = read_json(folder / STUDY_FILE, advice="Restore it from a copy, or make the study anew.")
        return cls(folder, read_question(found, f"study {folder.name}"))

    @property
    def name(self) -> str:
        """As shown to people."""
        return str(self.question.recipe.get("project.name") or self.folder.name)

    def variant(self, name: str) -> Variant:
        """The variant of that name or number.

        Raises
        ------
        InputError
            Where there is none.
        """
        for one in self.variants:
            if name in (one.name, str(one.number)):
                return one
        raise InputError(f"The study has no variant {name!r}.", "`study status` lists them.")

    def recipe(self, variant: Variant) -> Recipe:
        """A variant's whole recipe: a project with it makes the same, byte for byte."""
        return variant.recipe(self.question.recipe)

    def require_sound(self) -> None:
        """Raise FaultsError where a variant cannot be run: the first few faults of them all."""
        found: dict[str, str] = {}
        for variant in self.variants:
            recipe = self.recipe(variant)
            told = list(faults(recipe, self.folder))
            told += [fault for _, fault in content_faults(recipe, self.folder)]
            if not recipe.get("sweep.enabled"):
                told.append("sweep.enabled is off: a slider that nobody looks at cannot be judged")
            for fault in told:
                found.setdefault(fault, variant.name)
            if len(found) >= _MOST_TOLD:
                break
        if found:
            named = [f"{fault} ({name})" for fault, name in found.items()]
            raise FaultsError(f"study {self.name}", named, "Mend them, then try again.")

    def joint(self, rung: Rung, alive: Sequence[Variant] | None = None) -> JointPlan:
        """The plan of one rung for some variants, by default all."""
        base = self.question.recipe
        chosen = self.variants if alive is None else alive

        def plan_of(variant: Variant) -> Plan:
            return rung.of(plan(rung.recipe(variant.recipe(base)), is_published=False))

        return joint_plan(chosen, plan_of)

    def statuses(self, joint: JointPlan) -> dict[str, StepStatus]:
        """Where every step of a joint plan stands."""
        found = self.running()
        steps = found.steps if found else ()
        inspector = Inspector(joint.plan, self.store, self.folder, engine_version, steps, self.readings)
        return {status.id: status for status in inspector.all()}

    def running(self) -> Running | None:
        """What runs now, whichever process runs it."""
        return running(self.folders.running)

    def climb(
        self,
        make: Callable[[JointPlan], object] = lambda joint: None,
        note: Callable[[Mapping[int, Outcome]], object] = lambda outcomes: None,
    ) -> dict[int, Outcome]:
        """What became of every variant, by its number: rung by rung, as far as the steps are made.

        `make` does a rung's steps before it is judged; `note` is told the outcomes after each.
        """
        from lib_copier.study.halving import promoted

        outcomes = {variant.number: Outcome() for variant in self.variants}
        alive: Sequence[Variant] = self.variants
        for rung in self.question.climbed:
            joint = self.joint(rung, alive)
            make(joint)
            found = self.statuses(joint)
            for variant in alive:
                own = dict.fromkeys(joint.ids[variant.number].values())
                told = outcome_of([found[step] for step in own], rung.name)
                # What an earlier rung measured stays worth showing until this one has.
                before = outcomes[variant.number]
                outcomes[variant.number] = replace(before, state=WAITING) if told.state == WAITING else told
            is_judged = all(outcomes[one.number].state != WAITING for one in alive)
            if is_judged and rung is not self.question.climbed[-1]:
                alive = promoted(alive, outcomes, self.question.reduction)
            note(outcomes)
            if not is_judged or not alive:
                break
        return outcomes

    def recorded(self) -> dict[int, Outcome]:
        """What the last run came to; cheap, however many variants there are."""
        stored = found_object(self.folder / OUTCOMES_FILE)
        read = {variant.number: read_outcome(stored.get(str(variant.number))) for variant in self.variants}
        return {number: outcome or Outcome() for number, outcome in read.items()}

    def known(self) -> dict[int, Outcome]:
        """Where the variants stand now; of very many, as the last run left them."""
        return self.climb() if len(self.variants) <= _QUICKLY_LOOKED_AT else self.recorded()

    def record(self, outcomes: Mapping[int, Outcome]) -> None:
        """Keep them for `recorded`."""
        told = {str(number): outcome.to_json() for number, outcome in outcomes.items()}
        write_json(self.folder / OUTCOMES_FILE, told)

    def ranked(self, outcomes: Mapping[int, Outcome]) -> list[Variant]:
        """The variants, the best first."""
        return sorted(self.variants, key=lambda one: (*order(outcomes[one.number]), one.number))


def _settled(axis: Axis, base: Recipe, folder: Path) -> Axis:
    """The axis with files copied in, seeds drawn, and texts read: what two looks take for the same."""
    choices = []
    for choice in axis.choices:
        recipe = with_files_inside(applied(base, choice), folder, before=base)
        choices.append(
            Choice(choice.name, tuple((at, _value_at(recipe, at, value)) for at, value in choice.changes))
        )
    return Axis(axis.name, tuple(choices))


def _value_at(recipe: Recipe, address: str, given: Any) -> Any:
    try:
        return value_at(recipe, address)
    except KeyError:
        return given
