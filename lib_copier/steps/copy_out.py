"""Finished files go out into a folder of the user's: what is theirs there, or became theirs, stays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from lib_copier.errors import InputError
from lib_copier.files.disk import copy_file, found_object, write_json
from lib_copier.graph.digest import sha256_of

MEMORY = "published.json"
"""Digests of what the project has written, by a hash of the place: it tells no folders of the machine."""


def copy_out(files: Iterable[Path], folder: Path, project: Path) -> list[Path]:
    """Copy files into a folder outside the project; their places there.

    What was written from here before is replaced. A preview or card that was changed since stays as it is.

    Raises
    ------
    InputError
        Where the folder is missing, or a LoRA was changed since or a file of that name was never written
        from here; nothing is copied then.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder.", "Make it, or name another one.")
    memory = found_object(project / MEMORY)
    wanted = {folder / source.name: source for source in files}
    due: dict[Path, Path] = {}
    for target, source in wanted.items():
        digest, place = sha256_of(source), hashlib.sha256(str(target.resolve()).encode()).hexdigest()[:24]
        known = memory.get(place)
        written = known if isinstance(known, list) else []
        there = sha256_of(target) if target.is_file() else ""
        if there == digest:
            continue
        if (target.exists() or target.is_symlink()) and there not in written:
            if not written or source.suffix == ".safetensors":
                raise InputError(
                    f"{target} is there already and was not made here.",
                    "Choose another publish.name, or move that file away.",
                )
            continue
        due[target] = source
        memory[place] = [*written[-1:], digest]
    # Told before it is done: a file that a crash left half way through the list is still known as ours.
    if due:
        write_json(project / MEMORY, memory)
    for target, source in due.items():
        copy_file(source, target)
    return list(wanted)
