"""Shows a run's events: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from lib_copier.graph.events import Listener
from lib_copier.markup.html import duration

_PLAIN_SHARE = 0.1
"""Plain lines tell of progress once in every tenth of a step."""


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Listener]:
    """A listener for the events of a run, which draws on stderr as long as the block lasts."""
    out = stream or sys.stderr
    if not out.isatty():
        yield _PlainLines(out)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[tail]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=out), transient=False) as progress:
        yield _Bars(progress)


class _PlainLines:
    """One line where something begins or ends, and a few while it goes on."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._next_share: dict[str, float] = {}

    def __call__(self, event: dict[str, Any]) -> None:
        text = self._text(event)
        if text:
            print(text, file=self._out, flush=True)

    def _text(self, event: dict[str, Any]) -> str:
        kind = event["event"]
        if kind == "progress":
            share = int(event.get("step") or 0) / max(int(event.get("total") or 1), 1)
            if event.get("bar") or (share < self._next_share.get(event["id"], 0.0) and share < 1):
                return ""
            self._next_share[event["id"]] = share + _PLAIN_SHARE
            return f"  {event['id']}: {event.get('step')}/{event.get('total')} {tail_of(event)}".rstrip()
        if kind == "step_started":
            self._next_share.pop(event["id"], None)
        return sentence_of(event)


class _Bars:
    """A bar a step that is under way; what has ended stays as a line above."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def __call__(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        task = self._tasks.get(event.get("id", ""))
        if kind == "progress" and task is not None and not event.get("bar"):
            self._progress.update(
                task, completed=event.get("step"), total=event.get("total"), tail=tail_of(event)
            )
            return
        if kind == "step_started":
            self._tasks[event["id"]] = self._progress.add_task(event["id"], total=None, completed=0, tail="")
            return
        if kind in {"step_done", "step_failed"} and task is not None:
            self._progress.remove_task(self._tasks.pop(event["id"]))
        text = sentence_of(event)
        if text:
            self._progress.console.print(text, markup=False, highlight=False)


def tail_of(event: dict[str, Any]) -> str:
    """Loss and time left, where they are told."""
    parts = []
    if isinstance(event.get("loss"), (int, float)):
        parts.append(f"loss {event['loss']:.4f}")
    if isinstance(event.get("eta"), (int, float)):
        parts.append(f"{duration(event['eta'])} left")
    return ", ".join(parts)


def sentence_of(event: dict[str, Any]) -> str:
    """The event as a line; empty for those that need none."""
    kind, step = event["event"], event.get("id", "")
    if kind == "run_started":
        count = len(event.get("steps") or ())
        return f"{count} {'step' if count == 1 else 'steps'} to do" if count else "Nothing to do."
    if kind == "step_started":
        reasons = "; ".join(event.get("reasons") or ())
        return f"{step} … ({reasons})" if reasons else f"{step} …"
    if kind == "step_done":
        return f"{step} done in {duration(event.get('seconds') or 0)}"
    if kind == "step_missed":
        return f"{step} missed its goal: {'; '.join(event.get('reasons') or ())}"
    if kind == "step_failed":
        return f"{step} failed: {event.get('what')}"
    if kind == "log":
        return f"  {step}: {event.get('text')}" if step else str(event.get("text"))
    return ""
