"""What a step is doing, read from the events that its run writes to disk: any page may look at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib_copier.graph.events import read_events
from lib_copier.svg import Point

_LOG_LINES = 200
_LOG_BYTES = 40_000


@dataclass(frozen=True)
class Progress:
    """How far a step has come; times in seconds."""

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


def gather(events: Iterable[Mapping[str, Any]], step_id: str) -> Progress:
    """The progress of one step out of a run's events; a step that started again begins anew."""
    found = Progress()
    for event in events:
        if event.get("id") != step_id:
            continue
        kind = event["event"]
        if kind == "step_started":
            found = Progress()
        elif kind == "progress":
            found = _advanced(found, event)
        elif kind == "sample" and isinstance(event.get("path"), str):
            found = replace(found, samples=(*found.samples, (_whole(event.get("step")), event["path"])))
        elif kind == "log":
            found = replace(found, last_text=str(event.get("text", "")))
    return found


def _advanced(found: Progress, event: Mapping[str, Any]) -> Progress:
    loss, step = event.get("loss"), _whole(event.get("step"))
    more = ((float(step), float(loss)),) if isinstance(loss, (int, float)) else ()
    return replace(
        found,
        step=step,
        total=_whole(event.get("total")),
        loss=(*found.loss, *more),
        seconds_per_step=_number(event.get("s_per_step")),
        eta=_number(event.get("eta")),
    )


def run_logs(project: Path) -> list[Path]:
    """The event logs of a project's runs, the newest first."""
    return sorted((project / "log").glob("*.jsonl"), reverse=True)


def progress_of(project: Path, step_id: str, most_runs: int = 5) -> Progress:
    """The progress of the last run that did this step; empty where none of the last few did."""
    for log in run_logs(project)[:most_runs]:
        events = _all_events(log)
        if any(event["event"] == "step_started" and event.get("id") == step_id for event in events):
            return gather(events, step_id)
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


def _all_events(log: Path) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    offset = -1
    more, reached = read_events(log)
    while more and reached != offset:
        events += more
        offset = reached
        more, reached = read_events(log, offset)
    return events


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
