"""The event log of a run: JSON lines on disk, which any other process may follow while they grow.

``run_started``   ``run``, ``steps`` (ids that are to run)
``step_started``  ``id``, ``key``, ``reasons``
``step_skipped``  ``id``
``progress``      ``id``, ``step``, ``total``; a trainer adds ``loss``, ``lr``, ``s_per_step``, ``eta``
``loading``       ``id``
``log``           ``id``, ``text``
``sample``        ``id``, ``path``, ``step``
``step_done``     ``id``, ``key``, ``seconds``
``step_missed``   ``id``, ``reasons`` (what its result lacks of its goal)
``step_failed``   ``id``, ``what``, ``advice``
``run_done``, ``run_failed`` (``what``, ``advice``), ``run_cancelled``

Every line also has ``at``, the time in seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lib_copier.border import events
from lib_copier.errors import CopierError
from lib_copier.files.disk import append_line, json_text, read_lines

Listener = Callable[[dict[str, Any]], None]

PROGRESS_SECONDS = 0.25
"""Progress is written at most this often; the last of a step always."""


class EventLog:
    """Appends events to one file and hands each to a listener."""

    def __init__(self, path: Path, listener: Listener | None = None) -> None:
        self.path = path
        self._listener = listener
        self._last_progress: dict[str, float] = {}
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, event: str, **fields: Any) -> None:
        """Write one event as one line; any thread may."""
        with self._lock:
            self._add(event, fields)

    def _add(self, event: str, fields: dict[str, Any]) -> None:
        now = time.time()
        found = {"event": event, "at": round(now, 3), **fields}
        if event == "progress":
            is_last, who = fields.get("step") == fields.get("total"), str(fields.get("id"))
            if not is_last and now - self._last_progress.get(who, 0.0) < PROGRESS_SECONDS:
                return
            self._last_progress[who] = now
        append_line(self.path, json_text(found, indent=None).rstrip())
        if self._listener is not None:
            self._listener(found)


def read_events(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Some of the events from a byte offset on, and the offset to go on from; see `disk.read_lines`.

    Lines that hold no event are passed over.
    """
    lines, offset = read_lines(path, offset)
    return [event for line in lines if (event := events.parse(line)) is not None], offset


def failure_fields(error: CopierError | OSError) -> dict[str, str]:
    """What an event tells of an error: ``what`` is wrong, and the ``advice`` what to do."""
    if isinstance(error, CopierError):
        return {"what": error.what, "advice": error.advice}
    where = f" ({error.filename})" if error.filename else ""
    return {
        "what": f"{error.strerror or error}{where}.",
        "advice": "Check free space and rights, then run again.",
    }
