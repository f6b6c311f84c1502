"""How a command tells what it does: text for a person, one object for --json, event lines for a parent."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_copier.border import events


@dataclass
class Console:
    """Where a command's words go: `mode` is ``text``, ``json`` or ``events``."""

    mode: str
    _last: float = 0.0

    def say(self, text: str) -> None:
        """A sentence underway."""
        if self.mode == "text":
            print(text)
        elif self.mode == "events":
            events.emit("log", text=text)

    def tell_device(self, kind: str) -> None:
        """On what the work is done, for the record that a parent keeps of it."""
        if self.mode == "events":
            events.emit("device", kind=kind)

    def progress(self, step: int, total: int) -> None:
        """How far the work is; at most a few times a second."""
        now = time.perf_counter()
        if now - self._last < 0.2 and step < total:
            return
        self._last = now
        if self.mode == "events":
            events.emit("progress", step=step, total=total)
        elif self.mode == "text" and sys.stderr.isatty():
            end = "\n" if step == total else "\r"
            print(f"{step}/{total}", end=end, file=sys.stderr, flush=True)

    def done(self, lines: Sequence[str], result: Mapping[str, Any]) -> None:
        """The result."""
        if self.mode == "events":
            events.emit("done", **result)
        elif self.mode == "json":
            print(json.dumps(result, ensure_ascii=False, allow_nan=False, default=str))
        else:
            for line in lines:
                print(line)
