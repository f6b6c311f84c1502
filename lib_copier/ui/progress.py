"""What a step is doing, read from the events that its run writes to disk: any page may look at any time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from lib_copier.graph.events import read_events
from lib_copier.markup.svg import Point

_LOG_LINES = 200
_LOG_BYTES = 40_000
_RUNS_LOOKED_AT = 5
MOST_POINTS = 2000
"""Of a loss curve, twice as many at most."""


@dataclass(frozen=True)
class Progress:
    """How far a step has come; times in seconds."""

    key: str = ""
    """What the step was to make; empty where no run has begun it."""
    is_done: bool = False
    step: int = 0
    total: int = 0
    loss: tuple[Point, ...] = ()
    seconds_per_step: float | None = None
    eta: float | None = None
    samples: tuple[tuple[int, str], ...] = ()
    """(training step, path) of pictures made underway, the oldest first."""
    last_text: str = ""

    @property
    def share(self) -> float:
        """0 … 1; 0 while nothing has been counted yet."""
        return min(1.0, self.step / self.total) if self.total > 0 else 0.0


class _Track:
    """The progress of one step while its events come in: each costs the same, however many came before."""

    def __init__(self, key: str = "") -> None:
        self._last = Progress(key)
        self._loss: list[Point] = []
        self._samples: list[tuple[int, str]] = []

    def take(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "progress":
            self._advance(event)
        elif kind == "sample" and isinstance(event.get("path"), str):
            self._samples.append((_whole(event.get("step")), event["path"]))
        elif kind == "step_done":
            self._last = replace(self._last, is_done=True)
        elif kind == "log":
            self._last = replace(self._last, last_text=str(event.get("text", "")))

    def _advance(self, event: Mapping[str, Any]) -> None:
        step, loss = _whole(event.get("step")), _number(event.get("loss"))
        if loss is not None:
            self._loss.append((float(step), loss))
        if len(self._loss) > 2 * MOST_POINTS:
            # No chart shows more: every second one stays, the newest always.
            self._loss = self._loss[::-1][::2][::-1]
        pace, eta = _number(event.get("s_per_step")), _number(event.get("eta"))
        self._last = replace(
            self._last, step=step, total=_whole(event.get("total")), seconds_per_step=pace, eta=eta
        )

    def progress(self) -> Progress:
        return replace(self._last, loss=tuple(self._loss), samples=tuple(self._samples))


def _take(tracks: dict[str, _Track], event: Mapping[str, Any]) -> None:
    step_id = str(event.get("id"))
    if event["event"] == "step_started":
        tracks[step_id] = _Track(str(event.get("key")))
    else:
        tracks.setdefault(step_id, _Track()).take(event)


def gather(events: Iterable[Mapping[str, Any]], step_id: str) -> Progress:
    """The progress of one step out of a run's events; a step that started again begins anew."""
    tracks: dict[str, _Track] = {}
    for event in events:
        _take(tracks, event)
    return tracks.get(step_id, _Track()).progress()


class _Followed:
    """One run's event log as far as it was read: each look goes on from where the last one stopped."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0
        self._tracks: dict[str, _Track] = {}
        self._lock = threading.Lock()

    def find(self, step_id: str) -> Progress | None:
        """The progress of a step; None where the run has not begun it."""
        with self._lock:
            events, reached = read_events(self._log, self._offset)
            while reached != self._offset:
                self._offset = reached
                for event in events:
                    _take(self._tracks, event)
                events, reached = read_events(self._log, self._offset)
            track = self._tracks.get(step_id)
            found = track.progress() if track else None
            return found if found and found.key else None


@lru_cache(maxsize=64)
def _followed(log: Path, inode: int) -> _Followed:
    return _Followed(log)


def run_logs(project: Path) -> list[Path]:
    """The event logs of a project's runs, the newest first."""
    return sorted((project / "log").glob("*.jsonl"), reverse=True)


def progress_of(project: Path, step_id: str, made: str = "") -> Progress:
    """The progress of the last run that did this step; empty where none of the last few did.

    `made` is an artifact's key: then of the run that made it.
    """
    for log in run_logs(project)[: _RUNS_LOOKED_AT * (2 if made else 1)]:
        found = _followed(log, log.stat().st_ino).find(step_id)
        if found is not None and (not made or (found.is_done and found.key == made)):
            return found
    return Progress()


def last_lines(log: Path) -> str:
    """The end of a text log: what fits on a page."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LOG_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    # A progress bar rewrites its line: only its last state is worth reading.
    lines = [line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")]
    return "\n".join(lines[-_LOG_LINES:])


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
