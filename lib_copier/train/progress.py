"""What a run tells while it goes: event lines at a human pace, and a metrics file with every step."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any, TextIO

from lib_copier.border import events
from lib_copier.files.disk import found_object, json_text, write_bytes

_SECONDS_BETWEEN_EVENTS = 0.2
_SECONDS_BETWEEN_METRIC_WRITES = 2.0
_RECENT_STEPS = 50


class Progress:
    """Takes each finished step; emits ``progress`` events and appends to ``metrics.jsonl``.

    Parameters
    ----------
    first_step:
        Steps that were done before this process (a resumed run); later lines of an older attempt are cut.
    """

    def __init__(self, metrics: Path, *, first_step: int, total: int, stream: TextIO | None = None) -> None:
        self._total = total
        self._stream = stream
        self._metrics = metrics
        self._waiting: list[str] = []
        self._times: deque[tuple[int, float]] = deque([(first_step, time.monotonic())], maxlen=_RECENT_STEPS)
        self._last_event = -_SECONDS_BETWEEN_EVENTS
        self._last_write = time.monotonic()
        self._last_line: dict[str, Any] | None = None
        _keep_lines_up_to(metrics, first_step)

    def step_done(self, step: int, loss: float, lr: float) -> None:
        """Report a finished step (counted from 1) with its loss and learning rate."""
        now = time.monotonic()
        first, began = self._times[0]
        self._times.append((step, now))
        s_per_step = (now - began) / max(1, step - first)
        self._waiting.append(
            json_text({"step": step, "loss": loss, "lr": lr, "time": round(time.time(), 3)}, indent=None)
        )
        self._last_line = {
            "step": step,
            "total": self._total,
            "loss": round(loss, 6),
            "lr": lr,
            "s_per_step": round(s_per_step, 5),
            "eta": round(s_per_step * (self._total - step), 1),
        }
        if now - self._last_event >= _SECONDS_BETWEEN_EVENTS or step == self._total:
            self._emit(now)
        if now - self._last_write >= _SECONDS_BETWEEN_METRIC_WRITES:
            self.write_metrics()

    def paused(self) -> None:
        """Leave the time of something that is no step (samples, a check) out of the pace."""
        step = self._times[-1][0]
        self._times.clear()
        self._times.append((step, time.monotonic()))

    def log(self, text: str) -> None:
        """Emit a sentence for the log."""
        events.emit("log", text=text, stream=self._stream)

    def sample(self, path: Path, step: int, prompt: str) -> None:
        """Emit that a sample picture was written."""
        events.emit("sample", path=str(path), step=step, prompt=prompt, stream=self._stream)

    def copied(self, step: int, psnr_db: list[float], target: float) -> None:
        """Emit how close the pictures of unseen prompts have come."""
        shown = [round(value, 2) for value in psnr_db]
        events.emit("copied", step=step, psnr_db=shown, target=target, stream=self._stream)

    def write_metrics(self) -> None:
        """Append what waits to the metrics file."""
        self._last_write = time.monotonic()
        if self._waiting:
            with self._metrics.open("a", encoding="utf-8") as file:
                file.write("".join(self._waiting))
            self._waiting.clear()

    def close(self) -> None:
        """Emit the last step if it was held back, and write all metrics."""
        if self._last_line is not None:
            self._emit(time.monotonic())
        self.write_metrics()

    def _emit(self, now: float) -> None:
        if self._last_line is not None:
            events.emit("progress", stream=self._stream, **self._last_line)
            self._last_event = now
            self._last_line = None


def _keep_lines_up_to(metrics: Path, step: int) -> None:
    """Cut the metrics of steps that will be done again; a line torn by a crash goes too."""
    metrics.parent.mkdir(parents=True, exist_ok=True)
    if not metrics.is_file():
        return
    kept = bytearray()
    for line in metrics.read_bytes().splitlines(keepends=True):
        done = found_object(line).get("step")
        if isinstance(done, int) and done <= step and line.endswith(b"\n"):
            kept += line
    write_bytes(metrics, bytes(kept))
