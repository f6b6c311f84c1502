"""A lock that the system releases when its holder dies, on every system, by the standard library alone."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from lib_copier.errors import CopierError, InputError

POLL_SECONDS = 0.2


class HeldError(CopierError):
    """Somebody else holds the lock; the message says who."""

    exit_code = 2


@contextlib.contextmanager
def locked(
    path: Path,
    on_wait: Callable[[], None] = lambda: None,
    *,
    wait: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Hold the lock file for the block; the system releases it with its holder, however that ends.

    Where another block holds it, in this process or another, `on_wait` is called once and the lock
    waited for.

    Raises
    ------
    HeldError
        Where it is held and `wait` is false, or `should_stop` ended the waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for turn in count():
            if _take(descriptor):
                break
            # Who only asks (`is_locked`) has it for an instant.
            if turn > 2 and (not wait or should_stop()):
                raise HeldError(f"{path} is in use by another process.", "Wait for it, or stop it.")
            if turn == 3:
                on_wait()
            time.sleep(POLL_SECONDS if turn > 2 else 0.01)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether another process (or another block of this one) holds the lock just now."""
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        return not _take(descriptor, is_question=True)
    finally:
        os.close(descriptor)


def _take(descriptor: int, *, is_question: bool = False) -> bool:
    """Take the lock if it is free; closing the descriptor gives it back.

    Questions must not look like holders to each other: they share it.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if is_question else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK, errno.EINTR):
            raise InputError(
                f"This disk cannot lock files ({error.strerror}).", "Keep projects on a local disk."
            ) from error
        return False
    return True
