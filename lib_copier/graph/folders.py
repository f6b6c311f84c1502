"""Where things lie in a project's folder, and how its records name places without this machine's folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_copier.engines.locate import python, root
from lib_copier.errors import InputError
from lib_copier.files.names import checked_name, require_room

LONGEST_INSIDE = 120
"""Characters of a path within a project whose things have names of usual lengths."""


@dataclass(frozen=True)
class Folders:
    """Where a run keeps what it needs beside the artifacts."""

    project: Path

    @property
    def lock(self) -> Path:
        return self.project / "lock" / "project.lock"

    @property
    def recipe_lock(self) -> Path:
        """Held while the recipe is changed; a run leaves it free."""
        return self.project / "lock" / "recipe.lock"

    @property
    def style_lock(self) -> Path:
        """Held while a folder of training pictures is copied in."""
        return self.project / "lock" / "style.lock"

    @property
    def control(self) -> Path:
        """Asks the run that holds the lock to stop."""
        return self.project / "lock" / "control.json"

    @property
    def running(self) -> Path:
        """Which steps run, by whom, with which children: see `graph.running`."""
        return self.project / "lock" / "running.json"

    @property
    def log(self) -> Path:
        return self.project / "log"

    def step_log(self, step_id: str) -> Path:
        """All that the step's children wrote, the last time it ran."""
        return self.log / (step_id.replace("/", ".") + ".log")

    def by_hand(self, step_id: str) -> Path:
        """Where the step's command is laid out for those who want to run it themselves."""
        return self.project / "by-hand" / step_id.replace("/", ".")


def without_folders(line: str, project: Path) -> str:
    """A command line with words in the place of this machine's folders."""
    for word, path in _places(project):
        line = line.replace(path, word)
    return line


def with_folders(line: str, project: Path) -> str:
    """The command line as it runs here."""
    for word, path in reversed(_places(project)):
        line = line.replace(word, path)
    return line


def _places(project: Path) -> list[tuple[str, str]]:
    """The longest paths first: one lies within the other."""
    found = [("{python}", str(python())), ("{project}", str(project)), ("{root}", str(root()))]
    return sorted(found, key=lambda item: -len(item[1]))


def portable(value: Any, out: Path, project: Path) -> Any:
    """A result without this machine's folders: paths of outputs become their names."""
    if isinstance(value, Mapping):
        return {key: portable(item, out, project) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item, out, project) for item in value]
    if isinstance(value, str):
        return value.replace(f"{out}{os.sep}", "").replace(str(out), ".").replace(str(project), "{project}")
    return value


def free_place(folder: Path) -> Path:
    """Where a new project may come, as a whole path.

    Raises
    ------
    InputError
        Where its name or its path cannot be, or it holds something already.
    """
    folder = folder.absolute()
    checked_name(folder.name, "project")
    require_room(folder, LONGEST_INSIDE, "project")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already and not empty.", "Choose another name or folder.")
    return folder
