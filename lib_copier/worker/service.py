"""The worker's loop: one job after the other, each apart from all others."""

from __future__ import annotations

import gc
import sys

from lib_copier.border import events
from lib_copier.edge import guard
from lib_copier.errors import InputError
from lib_copier.worker.inbox import Free, Inbox, Job
from lib_copier.worker.isolation import apart
from lib_copier.worker.parts import part_named

_GOES_ON = (0, InputError.exit_code)
"""After anything else – memory that ran out, a wish to stop, a fault – nobody knows what is left behind."""


def serve(inbox: Inbox, *, idle_seconds: float) -> int:
    """Do what comes until nothing does; 0, or the exit code of the job after which it cannot go on.

    An exception that no command expects is raised as in a process of the job's own.
    """
    while (told := inbox.take(idle_seconds)) is not None:
        if isinstance(told, Free):
            free()
            continue
        code = _do(told)
        if code not in _GOES_ON:
            return code
        _tell_end(told, code)
    return 0


def _do(job: Job) -> int:
    events.emit("began", id=job.id)
    with apart(job.control):
        code = guard(lambda argv: part_named(job.part)(argv), job.arguments, emits_events=True)
    gc.collect()
    return code


def _tell_end(job: Job, code: int) -> None:
    """On both streams, on a line of its own whatever the job left there."""
    for stream in (sys.stdout, sys.stderr):
        stream.write("\n")
        events.emit("ended", stream=stream, id=job.id, exit_code=code)


def free() -> None:
    """Give memory back."""
    if "torch" in sys.modules:
        import torch

        from lib_copier.models.kept import KEPT

        KEPT.free()
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
