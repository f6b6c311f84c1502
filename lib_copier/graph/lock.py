"""One writer at a time: a lock that the system releases with its holder, and says who that is."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_copier.files.disk import found_object, has_types, write_json
from lib_copier.files.lock import HeldError, locked

if TYPE_CHECKING:
    import psutil


def this_process() -> dict[str, Any]:
    """What tells this process from any other, also after its number has been given away again."""
    return identity(os.getpid())


def identity(pid: int) -> dict[str, Any]:
    """Number and start time of a process.

    Raises
    ------
    psutil.NoSuchProcess
        Where it has ended.
    """
    import psutil

    return {"pid": pid, "created": psutil.Process(pid).create_time(), "host": socket.gethostname()}


def living(who: Any) -> psutil.Process | None:
    """The process that `identity` once described, if it still runs on this machine."""
    if not has_types(who, {"pid": int, "created": (int, float)}) or who.get("host") != socket.gethostname():
        return None
    import psutil

    try:
        process = psutil.Process(who["pid"])
        # The clock may be set; a second off is the same process, a reused number is not.
        same = abs(process.create_time() - who["created"]) < 1.0
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.Error, ValueError, OverflowError):
        return None


@contextmanager
def held(
    path: Path, what: str, *, wait: bool = False, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Hold the lock file at `path` for the length of the block.

    The lock itself is the system's, so it ends with the process that holds it, however that dies.
    The note beside it only serves to say who holds it; a note of a dead process means nothing.

    Raises
    ------
    HeldError
        Where another process holds it and `wait` is false, or `should_stop` ended the waiting.
    """
    note = path.with_suffix(".holder.json")
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path, wait=wait, should_stop=should_stop))
        except HeldError as error:
            raise HeldError(f"{what} is in use by {holder_text(note)}.", error.advice) from error
        try:
            write_json(note, {**this_process(), "since": time.time()})
            yield
        finally:
            with suppress(OSError):
                note.unlink()


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds the lock at `path`, as noted, if that process still runs."""
    found = found_object(path.with_suffix(".holder.json"))
    return found if living(found) else None


def holder_text(note: Path) -> str:
    """The holder in words, from its note."""
    found = found_object(note)
    if not has_types(found, {"since": (int, float)}):
        return "another process"
    # A clock that is out of range gives its last second.
    since = time.strftime("%H:%M:%S", time.localtime(min(max(found["since"], 0), 2**31 - 1)))
    return f"process {found.get('pid')} on {found.get('host')} since {since}"
