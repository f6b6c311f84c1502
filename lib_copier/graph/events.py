"""The event log of a run: JSON lines on disk, which any other process may follow while they grow.

``run_started``   ``run``, ``steps`` (ids that are to run)
``step_started``  ``id``, ``key``, ``reasons``
``step_skipped``  ``id``
``progress``      ``id``, ``step``, ``total``; a trainer adds ``loss``, ``lr``, ``s_per_step``, ``eta``
``log``           ``id``, ``text``
``sample``        ``id``, ``path``, ``step``
``step_done``     ``id``, ``key``, ``seconds``
``step_failed``   ``id``, ``what``, ``advice``
``run_done``, ``run_failed`` (``what``, ``advice``), ``run_cancelled``

Every line also has ``at``, the time in seconds.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
        # One write of one line, opened for appending: lines of a crashed writer may be torn, never mixed.
        with self.path.open("ab") as file:
            file.write(b"\n" * self._is_torn() + (json.dumps(found, ensure_ascii=False) + "\n").encode())
        if self._listener is not None:
            self._listener(found)

    def _is_torn(self) -> bool:
        """Whether the file ends within a line that a killed writer left behind."""
        try:
            with self.path.open("rb") as file:
                if file.seek(0, 2) == 0:
                    return False
                file.seek(-1, 2)
                return file.read(1) != b"\n"
        except OSError:
            return False


def read_events(path: Path, offset: int = 0, most: int = 10_000) -> tuple[list[dict[str, Any]], int]:
    """The events from a byte offset on, and the offset to go on from.

    A last line that is not finished yet is left for the next call; broken lines are passed over.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            raw = file.read()
    except OSError:
        return [], offset
    found: list[dict[str, Any]] = []
    taken = 0
    for line in raw.splitlines(keepends=True):
        if not line.endswith(b"\n") or len(found) == most:
            break
        taken += len(line)
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            found.append(event)
    return found, offset + taken
