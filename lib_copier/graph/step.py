"""A step of a plan: what it needs, what it makes, and the key that says when it is done."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_copier.engines.task import Command
from lib_copier.errors import InputError

FORMAT_VERSION = 1
"""Raised when steps of the same words begin to mean another result: everything is then made anew."""


@dataclass(frozen=True)
class StepInput:
    """Something a step reads: an output of another step, or a file from outside.

    Parameters
    ----------
    role:
        What the step takes it for (``checkpoint``, ``lora``, ``picture`` …); may occur several times.
    step, output:
        The step that makes it and the file's name in its artifact.
    path:
        Otherwise the file, absolute or relative to the project's folder.
    weight:
        How strongly it acts, where that has a meaning; part of the key.
    """

    role: str
    step: str = ""
    output: str = ""
    path: str = ""
    weight: float | None = None

    @property
    def is_outside(self) -> bool:
        """Whether its path may lead out of the project."""
        return Path(self.path).is_absolute() or ".." in Path(self.path).parts


@dataclass(frozen=True)
class Output:
    """One file that a step makes; `kind` says how it is verified.

    ``lora``, ``checkpoint``, ``picture``, ``json``, ``text`` or ``file`` (there, not empty).
    """

    name: str
    kind: str

    def __post_init__(self) -> None:
        if not is_inside(self.name):
            raise InputError(
                f"{self.name!r} is no name of an output: it leads elsewhere.", "Choose another publish.name."
            )


def is_inside(name: str) -> bool:
    """Whether a file of this name stays in the folder that it is put into, on every system."""
    parts = re.split(r"[/\\]", name)
    return not ({"", ".", ".."} & set(parts) or any(sign in name for sign in ":\0"))


@dataclass(frozen=True)
class Workplace:
    """What a step's action gets: where its inputs lie and where its outputs belong."""

    step: Step
    project: Path
    out: Path
    """Outputs go here, under their names."""
    scratch: Path
    """Kept between attempts with the same key, so that a broken training can go on."""
    inputs: tuple[tuple[StepInput, Path], ...]
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the steps that made the inputs reported, by step id."""

    def path(self, role: str) -> Path:
        """The one input of that role."""
        (found,) = self.paths(role)
        return found

    def paths(self, role: str) -> list[Path]:
        """All inputs of that role, in the plan's order."""
        return [path for given, path in self.inputs if given.role == role]

    def result(self, role: str) -> Mapping[str, Any]:
        """What the step that made the one input of that role reported."""
        (source,) = (given.step for given, _ in self.inputs if given.role == role)
        return self.results.get(source, {})

    def weighted(self, role: str) -> list[tuple[Path, float]]:
        """All inputs of that role with their weights (1 where none is given)."""
        return [
            (path, 1.0 if given.weight is None else given.weight)
            for given, path in self.inputs
            if given.role == role
        ]

    @property
    def params(self) -> dict[str, Any]:
        """The step's parameters, those outside the key too."""
        return {**dict(self.step.params), **dict(self.step.cosmetic)}


Result = Mapping[str, Any]
Action = Callable[[Workplace], Command | Result]
"""Does the step's small work itself and returns its result, or returns the child process that does it."""

Finish = Callable[[Workplace, Result], None]

Goal = Callable[[Result], tuple[str, ...]]
"""Looks at a step's result: what it lacks of what the step is for, a phrase each; none where all is there."""


@dataclass(frozen=True)
class Step:
    """One step of a plan; equal steps make equal artifacts.

    Parameters
    ----------
    id:
        Unique in the plan: ``copier/ORIGIN``.
    kind:
        The step's name in the method: ``copier``. Steps of one kind share their action.
    params:
        JSON values by name, all of them part of the key.
    cosmetic:
        Further parameters for the action that change no result: not part of the key.
    engine:
        Name of the engine that does it; empty where no engine is involved.
    finish:
        Looks at or completes the outputs after the action, before they are verified and committed.
    same_as:
        The step has nothing to do: its artifact is that of this input step.
    note:
        Why it has nothing to do, or another remark for the reader of the plan.
    goal:
        What its result has to reach. Not part of the key: another bar judges the same result anew.
    is_accepted:
        The user goes on although the goal is missed.
    waits_for:
        Ids of steps whose goals must be reached, or their results accepted, before this one begins.
    beside:
        Cosmetic parameters with which it runs on the processor, beside a step that has the device; None: it
        waits for its turn.
    """

    id: str
    kind: str
    action: Action | None
    inputs: tuple[StepInput, ...] = ()
    params: tuple[tuple[str, Any], ...] = ()
    outputs: tuple[Output, ...] = ()
    cosmetic: tuple[tuple[str, Any], ...] = ()
    engine: str = ""
    finish: Finish | None = None
    same_as: str = ""
    note: str = ""
    goal: Goal | None = None
    is_accepted: bool = False
    waits_for: tuple[str, ...] = ()
    beside: tuple[tuple[str, Any], ...] | None = None

    @property
    def follows(self) -> tuple[str, ...]:
        """Ids of the steps before this one: whose outputs it reads, and whose goals it waits for."""
        found = [given.step for given in self.inputs if given.step]
        return tuple(dict.fromkeys([*found, *([self.same_as] if self.same_as else []), *self.waits_for]))


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they run: each stands after those that it follows."""

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for step in self.steps:
            if step.id in seen or not seen.issuperset(step.follows):
                raise ValueError(f"step {step.id} is there twice, or before a step that it follows")
            seen.add(step.id)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __contains__(self, step_id: object) -> bool:
        return any(step.id == step_id for step in self.steps)

    def step(self, step_id: str) -> Step:
        """The step of that id (KeyError where there is none)."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    def up_to(self, targets: Iterable[str]) -> Plan:
        """Only the targets and the steps that they need."""
        wanted = set(targets)
        for step in reversed(self.steps):
            if step.id in wanted:
                wanted.update(step.follows)
        return Plan(tuple(step for step in self.steps if step.id in wanted))


def described(step: Step, digests: Sequence[str], engine_version: str) -> dict[str, Any]:
    """Everything that decides a step's result, as JSON data: what the key is taken from."""
    return {
        "kind": step.kind,
        "format": FORMAT_VERSION,
        "params": plain(dict(step.params)),
        "inputs": [
            [given.role, digest, given.weight] for given, digest in zip(step.inputs, digests, strict=True)
        ],
        "engine": [step.engine, engine_version] if step.engine else [],
    }


def step_key(step: Step, digests: Sequence[str], engine_version: str = "") -> str:
    """The content key: equal for equal work, another one as soon as anything that matters differs.

    `digests` are the inputs' digests in the order of `Step.inputs`.
    """
    text = json.dumps(described(step, digests, engine_version), sort_keys=True, separators=(",", ":"))
    return f"{step.kind}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def plain(value: Any) -> Any:
    """The value as it comes back from JSON: tuples as lists, so that both compare equal."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
