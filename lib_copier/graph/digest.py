"""SHA-256 of files, remembered by size and time so that a checkpoint is read once, not at every look."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from lib_copier.errors import CopierError
from lib_copier.files.disk import found_object, write_json

_CHUNK = 1 << 22
_SAVED_APART = 20
"""Times that a writing of the memory took, before the next that may wait."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    found = hashlib.sha256()
    for chunk in chunks_of(path):
        found.update(chunk)
    return found.hexdigest()


def chunks_of(path: Path) -> Iterator[bytes]:
    """A file's content, a few MiB at a time."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


class FileDigests:
    """Digests of files, remembered in `memory` (a JSON file inside `root`) once `save` is called.

    A file in `root` is known by its size and time, which a copy of the project keeps. One outside is known
    by its inode and its change of state too, so that another one moved into its place is noticed; it is
    remembered by a hash of its name: the memory tells no folders of the machine.
    """

    def __init__(self, memory: Path, root: Path) -> None:
        self._memory = memory
        self._root = f"{root}{os.sep}"
        self._known = {
            name: entry
            for name, entry in found_object(memory).items()
            if isinstance(entry, list) and entry and isinstance(entry[-1], str)
        }
        self._is_changed = False
        self._next_save = 0.0

    def sha256(self, path: Path) -> str:
        """The file's digest; computed only where the file has changed. A folder's: of all in it.

        Raises
        ------
        OSError
            Where the file cannot be read.
        """
        state = path.stat()
        if stat.S_ISDIR(state.st_mode):
            files = sorted(one for one in path.rglob("*") if one.is_file())
            told = [f"{one.relative_to(path).as_posix()}\0{self.sha256(one)}\n" for one in files]
            return hashlib.sha256("".join(told).encode()).hexdigest()
        if remembered := self.known(path):
            return remembered
        name, stamp = self._identity(path, state)
        digest = sha256_of(path)
        self._known[name] = [*stamp, digest]
        self._is_changed = True
        return digest

    def known(self, path: Path) -> str | None:
        """The digest of a file as it was remembered; None where it has to be computed.

        Raises
        ------
        OSError
            Where there is no such file.
        """
        name, stamp = self._identity(path, path.stat())
        entry = self._known.get(name)
        return str(entry[-1]) if entry is not None and entry[:-1] == stamp else None

    def remember(self, known: Mapping[Path, str]) -> None:
        """Note digests that were computed elsewhere."""
        for path, digest in known.items():
            name, stamp = self._identity(path, path.stat())
            self._known[name] = [*stamp, digest]
            self._is_changed = True

    def forget(self, path: Path) -> None:
        """Compute the digest of this file anew the next time, though its size and time are the same."""
        self._is_changed |= self._known.pop(self._identity(path, path.stat())[0], None) is not None

    def save(self, *, may_wait: bool = False) -> None:
        """Write the memory down where it has changed; a project that cannot be written to does without.

        With `may_wait` now and then only: of many files it is large, and what is lost is computed again.
        """
        began = time.monotonic()
        if self._is_changed and not (may_wait and began < self._next_save):
            with suppress(CopierError, OSError):
                write_json(self._memory, self._known)
            self._is_changed = False
            now = time.monotonic()
            self._next_save = now + _SAVED_APART * (now - began)

    def _identity(self, path: Path, state: os.stat_result) -> tuple[str, list[int]]:
        """The name by which a file is remembered, and what tells that it is the same as then."""
        stamp, text = [state.st_size, state.st_mtime_ns], str(path)
        # Of a thousand files, pathlib's own ways would take longer than the disk.
        if text.startswith(self._root) and ".." not in text:
            return text[len(self._root) :].replace(os.sep, "/"), stamp
        name = "outside:" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]
        return name, [*stamp, state.st_ino, state.st_ctime_ns]
