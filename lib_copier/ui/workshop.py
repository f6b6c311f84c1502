"""The projects of one place and their queue; a name from the browser becomes a folder only here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_copier.errors import CopierError, InputError
from lib_copier.files.names import checked_name, name_fault
from lib_copier.graph.queue import GpuOwner, Queue
from lib_copier.graph.readings import Readings
from lib_copier.steps.project import PROJECT_FILE, Project
from lib_copier.ui.desk import Desk, queue_key
from lib_copier.ui.printer import Printer
from lib_copier.ui.tasks import Tasks

QUEUE_FOLDER = "queue"
LIVE_FOLDER = "previews"


@dataclass(frozen=True)
class ProjectEntry:
    """A project in the list."""

    name: str
    changed_at: float


class Workshop:
    """A folder of projects and their queue, whose jobs wait for the owner of the GPU.

    Raises (from its methods)
    ------
    InputError
        Where a name could lead out of the folder, or there is no such project.
    """

    def __init__(
        self,
        folder: Path,
        lora_dirs: Callable[[], Sequence[Path]] = tuple,
        owner: GpuOwner | None = None,
    ) -> None:
        self.folder = folder
        self._lora_dirs = lora_dirs
        self.queue = Queue(folder / QUEUE_FOLDER, owner)
        self.tasks = Tasks()
        self.printer = Printer(self.queue)
        self.readings = Readings()
        self._faults: dict[str, tuple[float, str]] = {}

    @property
    def projects_folder(self) -> Path:
        """Where the projects lie."""
        return self.folder / "projects"

    @property
    def live_folder(self) -> Path:
        """Where pictures of the live preview lie for a while."""
        return self.folder / LIVE_FOLDER

    def entries(self) -> list[ProjectEntry]:
        """All projects, the one changed last first."""
        found = []
        # Names that begin with a dot are copies and deletions under way, or cut short.
        for path in self.projects_folder.glob(f"[!.]*/{PROJECT_FILE}"):
            try:
                found.append(ProjectEntry(path.parent.name, path.stat().st_mtime))
            except OSError:
                continue
        return sorted(found, key=lambda entry: -entry.changed_at)

    def fault(self, entry: ProjectEntry) -> str:
        """Why a project cannot be opened; empty where it can. Read once while its file stays."""
        known = self._faults.get(entry.name)
        if known is None or known[0] != entry.changed_at:
            fault = name_fault(entry.name)
            found = f"The name of its folder {fault}. Rename it." if fault else ""
            try:
                if not found:
                    Project.open(self.projects_folder / entry.name)
            except (CopierError, OSError) as error:
                found = str(error)
            known = self._faults[entry.name] = (entry.changed_at, found)
        return known[1]

    def folder_of(self, name: str) -> Path:
        """The folder of a project of that name, whether it is there or not."""
        return self.projects_folder / checked_name(name, "project")

    def desk(self, name: str) -> Desk | None:
        """The opened project; None where there is none of that name."""
        if not name or name_fault(name) or not (self.projects_folder / name / PROJECT_FILE).is_file():
            return None
        folder = self.projects_folder / name
        # Asked before the project is read: what ends in between is drawn by the next look, not by none.
        is_host_at_work = self.tasks.is_open(queue_key(folder))
        return self._desk(Project.open(folder), is_host_at_work)

    def free_name(self, wanted: str) -> str:
        """`wanted`, or with a number, such that no project has it."""
        taken = {entry.name.casefold() for entry in self.entries()}
        stem = re.sub(r"-\d+$", "", wanted)
        found, number = wanted, 2
        while found.casefold() in taken:
            found, number = f"{stem}-{number}", number + 1
        return found

    def create(self, name: str, values: Mapping[str, Any]) -> Desk:
        """A new project with these settings; nothing stays of it where they cannot be used."""
        folder = self.folder_of(name)
        if folder.exists():
            raise InputError(f"There is a project {name} already.", "Open it, or choose another name.")
        self.projects_folder.mkdir(parents=True, exist_ok=True)
        desk = self._desk(Project.create(folder))
        try:
            desk.project.set(values)
        except Exception:
            desk.project.discard()
            raise
        return desk

    def _desk(self, project: Project, is_host_at_work: bool = False) -> Desk:
        project.lora_dirs = tuple(self._lora_dirs())
        project.readings = self.readings
        return Desk(project, self.queue, is_host_at_work)

    def run(self, desk: Desk, *, until: tuple[str, ...] = (), force: tuple[str, ...] = ()) -> None:
        """Queue the project's work; what runs already is left alone."""
        self.queue.submit(desk.queue_key, desk.project.name, desk.project.run_arguments(until, force))
