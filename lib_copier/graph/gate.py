"""Keeps a queue's jobs back while a program around us has the GPU for itself."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path

from lib_copier.files.lock import is_locked, locked


class Gate:
    """Closed as long as any living process keeps it closed; every process has a lock file of its own for it.

    The system ends a lock with its process: a program that crashed keeps nothing back. Whoever opens or
    closes, and whoever begins a job, does so under the queue's own lock (`Queue.changing`).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / f"{os.getpid()}.lock"
        self._closed = ExitStack()
        self._is_mine = False

    def close(self) -> None:
        """No job begins from now on; closing it again changes nothing."""
        if self._is_mine:
            return
        for path in self._folder.glob("*.lock"):
            if not is_locked(path):  # left by a process that is gone
                _remove(path)
        self._closed.enter_context(locked(self._own))
        self._is_mine = True

    def open(self) -> None:
        """As far as this process is concerned, jobs may begin."""
        self._closed.close()
        self._is_mine = False
        _remove(self._own)

    @property
    def is_closed(self) -> bool:
        """Whether any process keeps jobs back."""
        return any(is_locked(path) for path in self._folder.glob("*.lock"))


def _remove(path: Path) -> None:
    # Windows keeps a file that somebody has open; it goes at the next closing.
    with suppress(OSError):
        path.unlink()
