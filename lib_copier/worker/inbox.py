"""What a worker is told: read by a thread of its own, which also sees to it that it ends with its parent."""

from __future__ import annotations

import _thread
import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

from lib_copier.border import events
from lib_copier.files.disk import found_object, has_types

_PARENT_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Job:
    """One job of a part; see `lib_copier.worker.__main__`."""

    id: str
    part: str
    arguments: tuple[str, ...]
    control: str


@dataclass(frozen=True)
class Free:
    """The wish that memory be given back."""


class Inbox:
    """Jobs and wishes in their order.

    Parameters
    ----------
    pipe:
        Number of the open file that they come through; at its end the process ends, a job in it first.
    """

    def __init__(self, pipe: int) -> None:
        self._told: queue.Queue[Job | Free | None] = queue.Queue()
        self._is_waiting, self._is_over = True, False
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()
        threading.Thread(target=self._end_with, args=(os.getppid(),), daemon=True).start()

    def take(self, timeout: float) -> Job | Free | None:
        """The next; None where nobody wants anything any more, or has wanted for `timeout` seconds."""
        self._is_waiting = True
        try:
            told = self._told.get(timeout=timeout)
        except queue.Empty:
            return None
        finally:
            self._is_waiting = False
        return None if self._is_over else told

    def _read(self, pipe: int) -> None:
        # Not buffered: a thread that waits with a buffer's lock in its hand would hold up the process's end.
        with open(pipe, "rb", buffering=0) as lines:
            while line := lines.readline(_LONGEST_LINE):
                told = _understood(line)
                if told is not None:
                    self._told.put(told)
        self._end()

    def _end_with(self, parent: int) -> None:
        """End when the process that started this one is gone, though something may hold the pipe open."""
        while os.getppid() == parent:
            time.sleep(_PARENT_LOOK_SECONDS)
        self._end()

    def _end(self) -> None:
        """End the process: a job is interrupted as by Ctrl-C, so that a training keeps its state."""
        self._is_over = True
        is_busy = not self._is_waiting
        self._told.put(None)
        if is_busy:
            _thread.interrupt_main()
        time.sleep(_GRACE_SECONDS)
        os._exit(1)


def _understood(line: bytes) -> Job | Free | None:
    """What a line asks for; junk is answered and passed over."""
    found = found_object(line)
    kinds = {"id": str, "part": str, "arguments": list, "control": str}
    if found.get("do") == "free":
        return Free()
    if found.get("do") == "job" and has_types(found, kinds):
        arguments: list[Any] = found["arguments"]
        if all(isinstance(word, str) for word in arguments):
            return Job(found["id"], found["part"], tuple(arguments), found["control"])
    if line.strip():
        text = line[:80].decode("utf-8", "replace").strip()
        events.emit("log", text=f"The worker was told what is no job: {text}")
    return None
