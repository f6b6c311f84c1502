"""What runs in a project now and how it is asked to stop: two notes on disk that any process may use."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from lib_copier.engines.tree import end_processes, find_marked
from lib_copier.files.disk import found_object, has_types, write_json
from lib_copier.graph.lock import identity, living, this_process
from lib_copier.graph.step import is_inside

SAVE, DISCARD = "save", "discard"

JOB_CONTROL = "COPIER_LORA_JOB_CONTROL"
"""Environment variable: the file by which a queue asks its job to stop."""


def ask_to_stop(control: Path, how: str = DISCARD) -> None:
    """Ask for the end of what listens to this file: at once, or after the training has saved its LoRA."""
    write_json(control, {"stop": how})


def wanted_stop(control: Path) -> str:
    """``save``, ``discard``, or empty where nobody asked."""
    how = found_object(control).get("stop")
    return how if how in (SAVE, DISCARD) else ""


def wanted_of_job() -> str:
    """How the queue's job that this process does was asked to stop; empty where it was not, or is none."""
    control = os.environ.get(JOB_CONTROL)
    return wanted_stop(Path(control)) if control else ""


def withdraw(control: Path) -> None:
    """Forget an earlier request."""
    with suppress(FileNotFoundError):
        control.unlink()


@dataclass(frozen=True)
class Running:
    """A run that goes on: the steps under way with their keys, the first begun first."""

    keys: dict[str, str]

    @property
    def steps(self) -> tuple[str, ...]:
        """Ids of the steps under way; between two steps, that of the last."""
        return tuple(self.keys)


def running(note: Path) -> Running | None:
    """What the note tells; None where nothing runs, whatever a dead run has left there."""
    found = found_object(note)
    if not living(found.get("runner")):
        return None
    return Running({one["step"]: one["key"] for one in _steps(found)})


def end_orphans(note: Path) -> None:
    """End what a run that died has left running."""
    found = found_object(note)
    orphans = find_marked(str(found.get("token") or "none"))
    children = [living(one.get("child")) for one in _steps(found)]
    end_processes([*orphans, *(child for child in children if child)])


def _steps(note: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The noted steps; a key becomes a folder's name, so it must be one."""
    steps = note["steps"] if has_types(note, {"steps": list}) else []
    return [one for one in steps if has_types(one, {"step": str, "key": str}) and is_inside(one["key"])]


class RunningNote:
    """Writes the note of one run; several threads may."""

    def __init__(self, path: Path, run: str) -> None:
        self.token = uuid4().hex
        """Marks all children of the run."""
        self._path = path
        self._run = run
        self._steps: dict[str, dict[str, Any]] = {}
        self._ended: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, step_id: str, key: str, child: int | None = None) -> None:
        """A step is under way, in the child of that number once there is one."""
        import psutil

        with self._lock:
            for other in self._ended - {step_id}:
                self._steps.pop(other, None)
            self._ended.clear()
            entry = self._steps.setdefault(step_id, {"step": step_id, "key": key})
            # A child that has ended already needs no looking for; the token finds what it may have left.
            with suppress(psutil.NoSuchProcess):
                entry["child"] = None if child is None else identity(child)
            self._write()

    def end(self, step_id: str) -> None:
        """The step is over; the last one stays noted, so that a run never seems to rest between two."""
        with self._lock:
            self._ended.add(step_id)
            if len(self._ended) < len(self._steps):
                for other in self._ended:
                    self._steps.pop(other, None)
                self._ended.clear()
                self._write()

    def clear(self) -> None:
        """The run is over."""
        with self._lock:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        steps = list(self._steps.values())
        write_json(
            self._path, {"run": self._run, "runner": this_process(), "token": self.token, "steps": steps}
        )
