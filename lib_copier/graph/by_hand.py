"""A step's command with everything it reads, laid out in a folder of its own to be run by hand."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from lib_copier.engines.command_files import prepare
from lib_copier.engines.process import shown
from lib_copier.engines.task import Command
from lib_copier.errors import InputError
from lib_copier.files.disk import write_text
from lib_copier.graph.folders import Folders
from lib_copier.graph.status import StepStatus, workplace


def lay_out(step_id: str, statuses: Mapping[str, StepStatus], folders: Folders) -> str:
    """Write what the step's command reads, and return its line; the artifacts are never touched by it.

    A step that has nothing to do gives the line of the step whose result it takes over.
    The command's own work files and its results lie in ``by-hand/STEP`` of the project. The line is kept
    there too, see `laid_out`.

    Raises
    ------
    InputError
        Where the steps before it are not done, or the step needs no child process.
    """
    status = statuses[step_id]
    if status.step.same_as:
        return lay_out(status.step.same_as, statuses, folders)
    if not status.key:
        raise InputError(
            f"The command of {step_id} is not known yet: {'; '.join(status.reasons)}.",
            "Run those before it.",
        )
    home = folders.by_hand(step_id)
    shutil.rmtree(home, ignore_errors=True)
    out = home / "out"
    out.mkdir(parents=True)
    action = status.step.action
    command = action(workplace(status.step, folders.project, out, home, statuses)) if action else None
    if not isinstance(command, Command):
        shutil.rmtree(home)
        raise InputError(f"{step_id} has no command: it is done without a child process.", "Run it here.")
    prepare(command)
    line = shown(command)
    write_text(_line_file(home), line + "\n")
    return line


def laid_out(step_id: str, folders: Folders) -> str:
    """The line that was laid out last; empty where none was."""
    try:
        return _line_file(folders.by_hand(step_id)).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _line_file(home: Path) -> Path:
    return home / "command.txt"
