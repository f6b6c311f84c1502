"""Files of a node by their digest: found in its own folders, else kept in a folder of bounded size."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from lib_copier.cluster.parcel import FileNote
from lib_copier.errors import CopierError, InputError
from lib_copier.files.disk import move
from lib_copier.files.lock import locked
from lib_copier.graph.digest import FileDigests, sha256_of
from lib_copier.graph.step import is_inside

LIMIT_VARIABLE = "COPIER_LORA_NODE_GIGABYTES"
"""How much a node keeps of what was sent to it; 50 where it is not set."""
FOLDERS_VARIABLE = "COPIER_LORA_NODE_FOLDERS"
"""Folders of a node, as PATH lists them, in which files are looked for: its own models, a shared disk."""


class Cache:
    """The files that one process of a node works with, in a folder that all of them share.

    Each lies as ``DIGEST/NAME``. What a living process holds is never given up for something new; of all else
    the longest unused goes first.
    """

    def __init__(self, folder: Path, limit: int, folders: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._limit = limit
        self._folders = folders
        self._own = f".{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        self._digests = FileDigests(folder / "digests.json", folder)

    def find(self, note: FileNote) -> Path | None:
        """The file under its name, held from now on; None where it has to be sent.

        Raises
        ------
        InputError
            The note names what can be no file of this cache.
        """
        home = self._home(note)
        with locked(self._folder / "cache.lock"):
            kept = home / note.name
            for path in [kept, *self._named(home), *self._found_elsewhere(note)]:
                if not self._is(path, note):
                    continue
                if path.name == note.name and path.parent != home:
                    return path
                self._hold(home)
                if path != kept:
                    kept.unlink(missing_ok=True)
                    _link(path, kept)
                return kept
        return None

    def receive(self, note: FileNote, offset: int, piece: bytes) -> None:
        """Take a piece of a file that is on its way; room for all of it is made with the first.

        Raises
        ------
        CopierError
            There is no room for it.
        """
        part = self._part(note)
        if offset == 0:
            with locked(self._folder / "cache.lock"):
                self._make_room(note.size)
                self._hold(part.parent)
            part.write_bytes(b"")
        with part.open("r+b") as file:
            file.seek(offset)
            file.write(piece)

    def seal(self, note: FileNote) -> None:
        """The last piece has come: what arrived must be what was sent.

        Raises
        ------
        CopierError
            It is not; nothing of it is kept.
        """
        part = self._part(note)
        if not part.exists():
            part.write_bytes(b"")
        if sha256_of(part) != note.digest:
            part.unlink()
            raise CopierError(
                f"{note.name} arrived damaged.", "Run again; check the network if it comes back."
            )
        move(part, part.with_name(note.name))
        self._digests.remember({part.with_name(note.name): note.digest})
        self._digests.save()

    def release(self) -> None:
        """Hold nothing any more."""
        for mark in self._folder.glob(f"*/{self._own}"):
            mark.unlink(missing_ok=True)

    def _is(self, path: Path, note: FileNote) -> bool:
        with suppress(OSError):
            if path.is_file() and path.stat().st_size == note.size:
                is_same = self._digests.sha256(path) == note.digest
                self._digests.save()
                return is_same
        return False

    def _named(self, home: Path) -> list[Path]:
        return sorted(path for path in home.glob("[!.]*")) if home.is_dir() else []

    def _found_elsewhere(self, note: FileNote) -> Iterator[Path]:
        """Files of that size in the node's folders; on a shared disk it lies where it lies for us."""
        same = Path(note.path)
        if any(same.is_relative_to(folder) for folder in self._folders):
            yield same
        for folder in self._folders:
            for path in folder.rglob(f"*{same.suffix}"):
                with suppress(OSError):
                    if path.stat().st_size == note.size:
                        yield path

    def _home(self, note: FileNote) -> Path:
        if not (is_inside(note.digest) and is_inside(note.name) and "/" not in note.name + note.digest):
            raise InputError(f"{note.name!r} is no name of a file.", "Give it a plain name.")
        return self._folder / note.digest

    def _part(self, note: FileNote) -> Path:
        home = self._home(note)
        home.mkdir(exist_ok=True)
        return home / f"{self._own}.part"

    def _hold(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        (home / self._own).touch()
        os.utime(home)

    def _make_room(self, size: int) -> None:
        homes = sorted(
            (home for home in self._folder.iterdir() if home.is_dir()), key=lambda home: home.stat().st_mtime
        )
        sizes = {home: _size(home) for home in homes}
        for home in homes:
            if sum(sizes.values()) + size <= self._limit:
                return
            if not _is_held(home):
                shutil.rmtree(home, ignore_errors=True)
                del sizes[home]
        if sum(sizes.values()) + size > self._limit:
            raise CopierError(
                f"its cache of {self._limit / 1e9:.3g} GB has no room for {size / 1e9:.3g} GB more.",
                f"Set {LIMIT_VARIABLE} higher there, or put the file in its folders ({FOLDERS_VARIABLE}).",
            )


def _size(home: Path) -> int:
    return sum(path.lstat().st_size for path in home.iterdir() if not path.is_symlink())


def _is_held(home: Path) -> bool:
    """Whether a process that lives has its mark there."""
    pids = (mark.name[1:] for mark in home.glob(".*") if mark.suffix != ".part")
    return any(pid.isdigit() and psutil.pid_exists(int(pid)) for pid in pids)


def _link(path: Path, name: Path) -> None:
    """The same file under another name; a copy where the system makes no links."""
    try:
        name.symlink_to(path)
    except OSError:
        shutil.copyfile(path, name)
