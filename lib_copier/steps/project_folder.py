"""A project's folder as a whole: given another name, or deleted by way of a name that nothing lists."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from lib_copier.errors import InputError
from lib_copier.files.disk import move
from lib_copier.files.names import checked_name, normal_name, require_room
from lib_copier.graph.folders import LONGEST_INSIDE, Folders
from lib_copier.graph.lock import held
from lib_copier.steps.project import PROJECT_FILE, Project

_TRASH = ".trash"


def rename(project: Project, name: str) -> Project:
    """The project under another name, with everything that was made; its name as shown goes along.

    Raises
    ------
    InputError
        Where the name cannot be used or is taken.
    HeldError
        Where a run works in it.
    """
    old, name = project.folder, checked_name(name, "project")
    new = old.with_name(name)
    require_room(new, LONGEST_INSIDE, "project")
    if new.exists() and not new.samefile(old):
        raise InputError(f"There is a project {name} already.", "Choose another name.")
    _require_rest(old)
    move(old, new)
    renamed = Project.open(new)
    if project.recipe.get("project.name") == normal_name(old.name):
        renamed.set({"project.name": name})
    return renamed


def delete(folder: Path) -> None:
    """Delete a project, whether its recipe can be read or not: it is gone whole, or there whole.

    Raises
    ------
    InputError
        Where the folder holds no project.
    HeldError
        Where a run works in it.
    """
    if not (folder / PROJECT_FILE).is_file():
        raise InputError(f"There is no project {folder.name}.", "Choose one from the list.")
    _require_rest(folder)
    move(folder, folder.with_name(f".{secrets.token_hex(4)}{_TRASH}"))
    # With those that a crash, or a program that had a file of them open, left.
    for trash in folder.parent.glob(f".*{_TRASH}"):
        shutil.rmtree(trash, ignore_errors=True)


def _require_rest(folder: Path) -> None:
    # Let go again before the folder moves: Windows moves none that has an open file in it.
    with held(Folders(folder).lock, f"The project {folder.name}"):
        pass
