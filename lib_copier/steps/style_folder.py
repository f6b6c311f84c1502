"""A folder of training pictures outside the project: looked at when it is chosen, copied in by the run."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from lib_copier.errors import InputError
from lib_copier.files.disk import copy_file, move
from lib_copier.files.lock import locked
from lib_copier.graph.digest import sha256_of
from lib_copier.graph.folders import Folders
from lib_copier.steps.folder import CAPTION_SUFFIXES, SUFFIXES, read_caption

STYLE = "style"
MOST_FILES = 10_000
MOST_BYTES = 8 << 30
_SYSTEM = ("/proc", "/sys", "/dev")
"""Files there are no files: their reading may never end."""


def files_to_take(folder: Path, project: Path) -> list[Path]:
    """The pictures and captions of a folder, by name; nothing else of it, and nothing below it, is taken.

    Raises
    ------
    InputError
        Where it is no folder, holds the project or lies in it, is one of the system's, holds no picture, a
        link, a caption that cannot be read, or more than `MOST_FILES` files or `MOST_BYTES`.
    """
    advice = "Choose a folder that holds the training pictures alone."
    try:
        source, home = folder.resolve(strict=True), project.resolve()
        if source.is_relative_to(home) or home.is_relative_to(source):
            raise InputError(f"{folder} and the project lie one within the other.", advice)
        if any(source.is_relative_to(place) for place in _SYSTEM):
            raise InputError(f"{folder} is a folder of the system.", advice)
        found, size = [], 0
        with os.scandir(source) as entries:
            for entry in entries:
                if Path(entry.name).suffix.lower() not in SUFFIXES | set(CAPTION_SUFFIXES):
                    continue
                if entry.is_symlink():
                    raise InputError(f"{entry.path} is a link.", "Put the file itself there.")
                if entry.is_file(follow_symlinks=False):
                    found.append(source / entry.name)
                    size += entry.stat(follow_symlinks=False).st_size
                if len(found) > MOST_FILES or size > MOST_BYTES:
                    raise InputError(
                        f"{folder} holds more than {MOST_FILES} files or {MOST_BYTES >> 30} GiB.", advice
                    )
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is no folder that can be read ({error}).", advice) from error
    if not any(path.suffix.lower() in SUFFIXES for path in found):
        raise InputError(f"{folder} holds no picture.", f"It takes {', '.join(sorted(SUFFIXES))}.")
    for path in found:
        if path.suffix.lower() in CAPTION_SUFFIXES:
            read_caption(path)  # One that cannot be read is told now, not when the training begins.
    return sorted(found)


def take_in(folder: Path, project: Path) -> str:
    """Copy a folder's pictures and captions into the project; its place there, named by its content.

    One process at a time copies; what a crash left of a copy goes when the next begins.
    """
    home = project / STYLE
    part = home / "copy.part"
    with locked(Folders(project).style_lock):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            told = hashlib.sha256()
            for path in files_to_take(folder, project):
                copy_file(path, part / path.name)
                told.update(f"{path.name}\0{sha256_of(part / path.name)}\n".encode())
            target = home / f"pictures-{told.hexdigest()[:10]}"
            if not target.exists():
                move(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return f"{STYLE}/{target.name}"
