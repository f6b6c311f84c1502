"""Processes with everything they started: found by a mark in their environment, ended without remains."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

TOKEN_VARIABLE = "COPIER_LORA_TOKEN"
"""Marks a child and all it starts, so that a successor finds them after a crash."""

_GRACE_SECONDS = 5.0


def end_tree(pid: int) -> None:
    """End a process with everything it started: ask first, insist after a few seconds."""
    import psutil

    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.Error:
        tree = []
    end_processes(tree)
    end_group(pid)


def end_group(pid: int) -> None:
    """End what is left of the group that a child led, though its leader may be gone (POSIX)."""
    if os.name == "nt":
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def find_marked(token: str) -> list[psutil.Process]:
    """Processes of this user whose environment carries the token."""
    import psutil

    found = []
    me = os.getpid()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != me and process.environ().get(TOKEN_VARIABLE) == token:
                found.append(process)
    return found


def end_processes(processes: list[psutil.Process]) -> None:
    """End these processes: ask first, insist after a few seconds."""
    import psutil

    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    _gone, alive = psutil.wait_procs(processes, timeout=_GRACE_SECONDS)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_GRACE_SECONDS)
