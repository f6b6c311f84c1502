"""An opened project as one request sees it: states, artifacts and progress, each read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lib_copier.files.disk import found_object
from lib_copier.graph.by_hand import laid_out
from lib_copier.graph.folders import Folders, with_folders
from lib_copier.graph.queue import Job, Queue
from lib_copier.graph.running import wanted_stop
from lib_copier.graph.status import StepStatus
from lib_copier.graph.store import Artifact
from lib_copier.recipe.model import Origin, Recipe
from lib_copier.steps.parts import RESULT
from lib_copier.steps.project import Project
from lib_copier.ui.phrases import Place, place_of
from lib_copier.ui.progress import Progress, progress_of
from lib_copier.ui.view import panel_of

_LARGEST_REPORT = 8 << 20


@dataclass(frozen=True)
class Made:
    """How a finished step was made."""

    seconds: float
    command: str
    device: str


def queue_key(folder: Path) -> str:
    """What a project's jobs are known by."""
    return str(folder.absolute())


class Desk:
    """Reads a project for the page; everything that changes goes through `Project` itself."""

    def __init__(self, project: Project, queue: Queue, is_host_at_work: bool = False) -> None:
        self.project = project
        self.is_host_at_work = is_host_at_work
        """Whether the host makes a picture, or words, for the project: one answer for the whole request."""
        self._queue = queue
        self._folders = Folders(project.folder)

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was when the project was opened for this request."""
        return self.project.recipe

    @property
    def folder_name(self) -> str:
        """The project's folder: how a view names it."""
        return self.project.folder.name

    @property
    def queue_key(self) -> str:
        """Names the project's jobs in the queue: two clicks on Run are one job."""
        return queue_key(self.project.folder)

    @cached_property
    def states(self) -> Mapping[str, StepStatus]:
        """The state of every step by its id, in the plan's order."""
        return {status.id: status for status in self.project.status()}

    @property
    def step_ids(self) -> list[str]:
        """All steps of the plan, in order."""
        return list(self.states)

    @cached_property
    def faults(self) -> tuple[str, ...]:
        """What keeps the recipe from being run."""
        return self.project.faults()

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where on the page each fault is mended, in their order."""
        return tuple(map(place_of, self.faults))

    @cached_property
    def job(self) -> Job | None:
        """The project's open job, else the last one that ended."""
        return self._queue.find(self.queue_key)

    @cached_property
    def running_steps(self) -> tuple[str, ...]:
        """The steps that some process is doing now."""
        return tuple(status.id for status in self.states.values() if status.state == "running")

    @property
    def is_busy(self) -> bool:
        """Whether work waits or runs; the recipe's steps are then not started again."""
        return bool(self.running_steps) or (self.job is not None and self.job.is_open)

    @cached_property
    def stopping(self) -> str:
        """How the work under way was asked to stop, ``save`` or ``discard``; empty where it was not."""
        controls = [self._folders.control] if self.running_steps else []
        if self.job is not None and self.job.is_open:
            controls.append(self._queue.control(self.job.id))
        # Discarding comes later than saving, and is then what happens.
        return min(map(wanted_stop, controls), key=("discard", "save", "").index, default="")

    def progress(self, step_id: str) -> Progress:
        """How far a step has come, or how its last run went."""
        return progress_of(self.project.folder, step_id)

    def progress_of_made(self, step_id: str) -> Progress:
        """How the run went that made what there is; another may have begun, and stopped, after it."""
        artifact = self.artifact(step_id)
        return progress_of(self.project.folder, step_id, artifact.key) if artifact is not None else Progress()

    def unfinished(self, step_id: str) -> Progress | None:
        """How far the step's last run came that ended before its end; None where nothing was lost by it."""
        status, found = self.states.get(step_id), self.progress(step_id)
        is_open = status is not None and not status.is_made and status.state != "running"
        return found if is_open and found.key and not found.is_done else None

    def artifact(self, step_id: str) -> Artifact | None:
        """What a step made: as the recipe says now, else the last before, which stays worth looking at."""
        status = self.states.get(step_id)
        if status is None or status.artifact is not None:
            return status.artifact if status is not None else None
        return self._last_made.get(step_id)

    @cached_property
    def _last_made(self) -> Mapping[str, Artifact]:
        store = self.project.store
        newest_last = reversed(store.manifests())
        return {str(made.get("step")): Artifact(key, store.folder / key, made) for key, made in newest_last}

    def file(self, step_id: str, name: str = "") -> Path | None:
        """A file that a step made, the last time it was done; None where it never was."""
        status, artifact = self.states.get(step_id), self.artifact(step_id)
        if status is None or artifact is None:
            return None
        name = name or status.step.outputs[0].name
        return artifact.file(name) if name in artifact.manifest["files"] else None

    def origin_picture(self, origin: Origin) -> Path | None:
        """The origin's picture, whoever made it: a given one counts from the moment that it is there."""
        given = self.inside(str(origin.get("file") or "none")) if origin.is_given else None
        return given if given is not None and given.is_file() else self.file(f"origin/{origin.name}")

    def result(self, step_id: str) -> Mapping[str, Any]:
        """What a step reported, the last time it was done; empty where it never was."""
        artifact = self.artifact(step_id)
        return artifact.result if artifact is not None else {}

    def lacks(self, step_id: str) -> tuple[str, ...]:
        """What its last result lacks of its goal as that is now, be it in date or not."""
        status, artifact = self.states.get(step_id), self.artifact(step_id)
        goal = status.step.goal if status is not None else None
        return goal(artifact.result) if goal is not None and artifact is not None else ()

    def report(self, step_id: str) -> Mapping[str, Any]:
        """What a check or preview measured, the last time; empty where there is none to be read."""
        path = self.file(step_id, RESULT)
        return found_object(path, limit=_LARGEST_REPORT) if path else {}

    @property
    def missed(self) -> StepStatus | None:
        """The first step that missed its goal; None where none did, or all are accepted."""
        return next((status for status in self.states.values() if status.state == "missed"), None)

    @property
    def missed_place(self) -> Place:
        """Where on the page one chooses how to go on from it."""
        kind, *names = self.missed.id.split("/") if self.missed else ("check",)
        origin = {"origin": names[0]} if names and kind != "sweep" else {}
        edit = {"edit": names[-1]} if names and kind != "check" else {}
        return Place(panel_of(kind), **origin, **edit)

    def made(self, step_id: str) -> Made | None:
        """How a step was made, the last time; None where it never was."""
        artifact = self.artifact(step_id)
        if artifact is None:
            return None
        manifest = artifact.manifest
        return Made(
            float(manifest.get("seconds") or 0.0),
            with_folders(str(manifest.get("command") or ""), self.project.folder),
            str(manifest.get("device") or ""),
        )

    def by_hand(self, step_id: str) -> str:
        """The line laid out to do a step by hand; empty where none was."""
        status = self.states.get(step_id)
        return laid_out(status.step.same_as or step_id if status else step_id, self._folders)

    def failure(self, step_id: str) -> Mapping[str, Any]:
        """Why the step's last attempt failed: ``what``, ``advice``, ``last_lines``."""
        status = self.states.get(step_id)
        found = self.project.store.failure(status.key) if status is not None and status.key else None
        return found or {}

    def step_log(self, step_id: str) -> Path:
        """What the step's child wrote, the last time it ran."""
        return self._folders.step_log(step_id)

    def inside(self, path: str) -> Path | None:
        """A path as the project's own file; None where it leads out of the project."""
        found = (self.project.folder / path).resolve()
        return found if found.is_relative_to(self.project.folder.resolve()) else None
