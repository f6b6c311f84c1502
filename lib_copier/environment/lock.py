"""A lock file that the system releases when its holder dies, on every system."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.2


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock for the block; where another process has it, call `on_wait` once and wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        waited = False
        while not _try(descriptor):
            if not waited:
                on_wait()
                waited = True
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether another process (or another block of this one) holds the lock just now."""
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        return not _try(descriptor, is_question=True)
    finally:
        os.close(descriptor)


def _try(descriptor: int, *, is_question: bool = False) -> bool:
    """Take the lock if it is free; closing the descriptor gives it back.

    Questions (`is_locked`) must not look like holders to each other: they share it.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if is_question else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
