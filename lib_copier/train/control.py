"""How a running training is told to stop: a control file, or a signal."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from lib_copier.files.disk import found_object

CONTROL_VARIABLE = "COPIER_LORA_CONTROL"


class StopRequests:
    """Asked once a step whether to stop; costs one look at a file's time stamp."""

    def __init__(self, control: Path | None) -> None:
        self._control = control
        self._seen: int | None = None
        self._signalled = False
        self._wish: str | None = None

    @classmethod
    def from_environment(cls) -> StopRequests:
        """Listen to the control file that the parent process names in `CONTROL_VARIABLE`."""
        named = os.environ.get(CONTROL_VARIABLE)
        return cls(Path(named) if named else None)

    def wish(self) -> str | None:
        """``save``: stop and write the LoRA as it is; ``discard``: stop and forget all;
        ``pause`` (a signal): stop and keep the state, so that the same command goes on; None: carry on."""
        return "pause" if self._signalled else self._from_file()

    def _from_file(self) -> str | None:
        if self._control is None:
            return None
        try:
            changed = self._control.stat().st_mtime_ns
        except OSError:
            return None
        if changed != self._seen:
            found = found_object(self._control)
            if not found:
                return None  # Half written: the next step reads it again.
            self._seen = changed
            stop = found.get("stop")
            self._wish = stop if stop in ("save", "discard") else None
        return self._wish

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Turn SIGINT and SIGTERM into a wish to pause; a second one ends the process as usual."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def note(number: int, _frame: object) -> None:
            self._signalled = True
            signal.signal(number, before[signal.Signals(number)])

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
