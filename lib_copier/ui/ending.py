"""What is said where the program around a page ends while jobs go on: which, and how to stop them."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType


def left_running(data: Path) -> str:
    """One line on the open jobs of a data folder; empty where there is none."""
    # Here, not above: a WebUI's start must not wait for what only its end needs.
    from lib_copier.engines.locate import root
    from lib_copier.graph.queue import Queue
    from lib_copier.ui.workshop import QUEUE_FOLDER

    jobs = [job for job in Queue(data / QUEUE_FOLDER).jobs() if job.is_open]
    if not jobs:
        return ""
    named, front = ", ".join(dict.fromkeys(job.title for job in jobs)), root() / "run.py"
    return (
        f"Copier LoRA: {named} {'goes' if len(jobs) == 1 else 'go'} on without this program. "
        f'`python "{front}" jobs` lists what runs, `python "{front}" jobs stop ID` stops it.'
    )


def tell_at_interrupt(data: Path) -> None:
    """Let Ctrl-C say it before whoever handles that now does: a WebUI ends at once, without any `atexit`.

    Only the main thread may set a signal's handler; elsewhere nothing is changed.
    """
    before = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not callable(before) or hasattr(before, "tells_of_jobs"):
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if told := left_running(data):
            print(told, flush=True)
        before(number, frame)

    handle.tells_of_jobs = True  # type: ignore[attr-defined]
    signal.signal(signal.SIGINT, handle)
