"""Looking at a project: its steps, where they stand and why, what they made, what runs, what was said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib_copier.engines.choose import engine_version
from lib_copier.errors import InputError
from lib_copier.files.lock import is_locked
from lib_copier.graph.events import read_events
from lib_copier.graph.folders import Folders, with_folders
from lib_copier.graph.readings import Readings
from lib_copier.graph.running import Running, running
from lib_copier.graph.status import Inspector, StepStatus
from lib_copier.graph.step import Plan
from lib_copier.graph.store import Artifact, Store
from lib_copier.recipe.check import faults
from lib_copier.recipe.model import Recipe
from lib_copier.steps.contents import content_faults
from lib_copier.steps.pictures import picture_faults
from lib_copier.steps.plan import plan
from lib_copier.steps.publish import name_faults


class ProjectView:
    """A project's folder and recipe, to be looked at; all that a look writes is `digests.json`, which saves
    the next one the reading of files."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder = folder
        self.recipe = recipe
        self.lora_dirs: tuple[Path, ...] = ()
        """The host's folders of LoRAs, in which those that prompts name are looked for."""
        self.readings: Readings | None = None
        """Reads large files for a look that must not wait for them; None: a look reads them itself."""
        self._folders = Folders(folder)
        self.store = Store(folder)

    @property
    def name(self) -> str:
        """The project's name, as shown to people."""
        return str(self.recipe.get("project.name") or self.folder.name)

    def faults(self) -> tuple[str, ...]:
        """Everything that keeps the recipe from being run, a phrase each."""
        found = (fault for _, fault in content_faults(self.recipe, self.folder))
        own = (*name_faults(self.recipe), *picture_faults(self.recipe))
        return (*faults(self.recipe, self.folder), *own, *found)

    def plan(self) -> Plan:
        """The steps of the recipe."""
        return plan(self.recipe)

    def status(self) -> tuple[StepStatus, ...]:
        """Where every step stands, and why; cheap enough to ask every second."""
        return self._status(self.readings)

    def _status(self, readings: Readings | None) -> tuple[StepStatus, ...]:
        found = self.running()
        steps = found.steps if found else ()
        return Inspector(self.plan(), self.store, self.folder, engine_version, steps, readings).all()

    def step_status(self, step_id: str) -> StepStatus:
        """Where one step stands.

        Raises
        ------
        InputError
            Where the recipe has no such step.
        """
        self._require(step_id)
        return next(status for status in self.status() if status.id == step_id)

    def artifact(self, step_id: str) -> Artifact | None:
        """What a step made, if it is done: ``.folder``, ``.file(name)``, ``.result``, ``.manifest``."""
        return self.step_status(step_id).artifact

    def file(self, step_id: str, name: str = "") -> Path | None:
        """One file that a step made, by default its main one; None while the step is not done."""
        status = self.step_status(step_id)
        if status.artifact is None:
            return None
        name = name or status.step.outputs[0].name
        return status.artifact.file(name) if name in status.artifact.manifest["files"] else None

    def running(self) -> Running | None:
        """What runs now, whichever process runs it; None where nothing does."""
        return running(self._folders.running)

    def command(self, step_id: str) -> str:
        """The command line that made the step, as it ran; empty where it was done without a child.

        The files in ``work/`` that it names are gone once the step is done: `Project.lay_out` gives a line
        with files of its own.
        """
        found = self.artifact(step_id)
        if found is None:
            first = self.log_tail(step_id, 10**6).partition("\n")[0]
            return first.removeprefix("$ ") if first.startswith("$ ") else ""
        return with_folders(str(found.manifest.get("command") or ""), self.folder)

    def log_tail(self, step_id: str, lines: int = 200) -> str:
        """The end of what the step's child wrote, the last time it ran."""
        self._require(step_id)
        try:
            with self._folders.step_log(step_id).open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - 400 * lines))
                return "\n".join(file.read().decode("utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def scratch(self, step_id: str) -> Path | None:
        """Where the running step keeps its loss curve and samples; None where it does not run."""
        found = self.running()
        key = found.keys.get(step_id) if found else None
        return self.store.work / key / "scratch" if key else None

    def runs(self) -> tuple[str, ...]:
        """Ids of all runs, the newest last; each has an event log."""
        return tuple(sorted(path.stem for path in self._folders.log.glob("*.jsonl")))

    def events(self, run: str = "", offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Events of a run (by default the newest) from an offset on, and the next offset."""
        runs = self.runs()
        run = run or (runs[-1] if runs else "")
        return read_events(self._folders.log / f"{run}.jsonl", offset) if run in runs else ([], offset)

    def unused(self) -> list[Path]:
        """Folders of artifacts and unfinished work that the recipe, as it is now, does not use.

        What somebody works in is in use: a search for an origin lies here too, with a lock of its own.
        """
        # What reads a file that is still being read is in use all the same.
        found = self.store.unused(status.key for status in self._status(None) if status.key)
        return [folder for folder in found if not is_locked(Folders(folder).lock)]

    def _require(self, step_id: str) -> None:
        steps = self.plan()
        if step_id not in steps:
            ids = ", ".join(step.id for step in steps)
            raise InputError(f"The project has no step {step_id!r}.", f"Its steps: {ids or 'none yet'}.")
