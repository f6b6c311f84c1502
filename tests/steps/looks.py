"""What tests look at: a project's steps and finished files, a step's command, and how two plans differ."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_copier.engines.task import Command
from lib_copier.graph.queue import Job, Queue
from lib_copier.graph.step import Plan, Step, Workplace
from lib_copier.steps.project import Project


def states(project: Project) -> dict[str, str]:
    return {status.id: status.state for status in project.status()}


def published(project: Project, edit: str = "outline") -> bytes:
    path = project.file(f"publish/{edit}")
    assert path is not None
    return path.read_bytes()


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def state(queue: Queue, job: Job) -> str:
    found = queue.job(job.id)
    assert found is not None
    return found.state


def command_of(step: Step, folder: Path, results: Mapping[str, Mapping[str, Any]] | None = None) -> Command:
    """The step's command; its inputs are said to lie at ``ROLE.NUMBER`` of the folder."""
    numbers: Counter[str] = Counter()
    given = []
    for one in step.inputs:
        given.append((one, folder / f"{one.role}.{numbers[one.role]}"))
        numbers[one.role] += 1
    place = Workplace(step, folder, folder / "out", folder / "scratch", tuple(given), results or {})
    assert step.action is not None
    command = step.action(place)
    assert isinstance(command, Command)
    return command


def job_of(step: Step, folder: Path) -> dict[str, Any]:
    """The job that the step's command reads as JSON, without the folder's name."""
    ((path, text),) = command_of(step, folder).files
    assert path.parent == folder / "scratch"
    return json.loads(text.replace(f"{folder}{os.sep}", ""))


def words_of(step: Step, folder: Path) -> list[str]:
    """The command's own words, behind ``python -m``, without the folder's name."""
    return [word.replace(f"{folder}{os.sep}", "") for word in command_of(step, folder).argv[2:]]


def flags_of(words: Sequence[str]) -> dict[str, list[str]]:
    """Each flag with its values."""
    found: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            found[word] = []
        elif found:
            found[list(found)[-1]].append(word)
    return found


def others(before: Plan, after: Plan) -> set[str]:
    """Steps of the second plan that are new or whose own work is another than in the first.

    A publication holds the recipe: any setting makes it anew, so it is not told.
    """

    def work(step: Step) -> tuple[Any, ...]:
        return step.inputs, step.params, step.engine, step.same_as

    made = (step for step in after if step.kind != "publish")
    return {step.id for step in made if step.id not in before or work(step) != work(before.step(step.id))}
