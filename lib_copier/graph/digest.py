"""SHA-256 of files, remembered by size and time so that a checkpoint is read once, not at every look."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from lib_copier.disk import found_object, write_json

_CHUNK = 1 << 22


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


class FileDigests:
    """Digests of files, remembered in `memory` (a JSON file inside `root`).

    Paths outside `root` are remembered by a hash of their name: the memory tells no folders of the machine.
    """

    def __init__(self, memory: Path, root: Path) -> None:
        self._memory = memory
        self._root = root
        self._known = found_object(memory)

    def sha256(self, path: Path) -> str:
        """The file's digest; computed only where its size or time has changed. A folder's: of all in it.

        Raises
        ------
        OSError
            Where the file cannot be read.
        """
        if path.is_dir():
            files = sorted(one for one in path.rglob("*") if one.is_file())
            told = [f"{one.relative_to(path).as_posix()}\0{self.sha256(one)}\n" for one in files]
            return hashlib.sha256("".join(told).encode()).hexdigest()
        state = path.stat()
        stamp = [state.st_size, state.st_mtime_ns]
        name = self._name(path)
        entry = self._known.get(name)
        if isinstance(entry, list) and entry[:2] == stamp and len(entry) == 3:
            return str(entry[2])
        digest = sha256_of(path)
        self._known[name] = [*stamp, digest]
        write_json(self._memory, self._known)
        return digest

    def remember(self, known: Mapping[Path, str]) -> None:
        """Note digests that were computed elsewhere."""
        for path, digest in known.items():
            state = path.stat()
            self._known[self._name(path)] = [state.st_size, state.st_mtime_ns, digest]
        write_json(self._memory, self._known)

    def _name(self, path: Path) -> str:
        try:
            return path.resolve().relative_to(self._root.resolve()).as_posix()
        except ValueError:
            return "outside:" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]
