"""Tells a person how the set-up goes: lasting lines, and on a terminal one line that changes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

QUIET_SECONDS = 20.0
"""Where output is no terminal, a sign of life comes this often at most."""


class Report:
    """Writes to stderr, so that a command's own stdout stays clean."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()
        self._width = 0
        self._doing = ""
        self._since = 0.0

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def doing(self, text: str) -> None:
        """What is going on now; shown with the time it takes while `alive` runs."""
        self._doing = text
        self._since = time.monotonic()
        self._show()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Show signs of life for the block: a download may be silent for minutes."""
        ended = threading.Event()
        thread = threading.Thread(target=self._beat, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._clear()

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(1.0 if self._is_terminal else QUIET_SECONDS):
            if self._is_terminal:
                self._show()
            elif self._doing:
                self._stream.write(f"  {self._line()}\n")
                self._stream.flush()

    def _line(self) -> str:
        seconds = int(time.monotonic() - self._since)
        return f"{self._doing} ({seconds} s)" if seconds else self._doing

    def _show(self) -> None:
        if self._is_terminal and self._doing:
            line = f"  {self._line()}"[:100]
            self._stream.write("\r" + line.ljust(self._width))
            self._stream.flush()
            self._width = len(line)

    def _clear(self) -> None:
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0
