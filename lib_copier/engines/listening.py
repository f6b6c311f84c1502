"""Listens to a child: its lines become events, a log and the last words; wishes to stop reach it."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lib_copier.border import events
from lib_copier.engines.command_files import NewPictures
from lib_copier.engines.progress import event_of
from lib_copier.engines.task import Command
from lib_copier.engines.tree import end_group
from lib_copier.errors import CancelledError, CopierError
from lib_copier.files.disk import has_types, write_json

SILENCE_SECONDS = 180.0
LAST_LINES = 30
_POLL_SECONDS = 0.1
_READ_BYTES = 1 << 16
_LONGEST_LINE = 1 << 20
_LINE_END = re.compile(rb"\r\n|\r|\n")

Event = dict[str, Any]


@dataclass(frozen=True)
class Watch:
    """How the parent follows a child.

    Parameters
    ----------
    log:
        File that takes all the child writes.
    on_event:
        Called with each event, in the parent's thread.
    wanted_stop:
        Asked often: ``"discard"`` ends the child at once, ``"save"`` asks it to save and end, ``""`` goes on.
    control:
        The file through which the child is asked to save and end.
    token:
        Goes into the child's environment, see `find_marked`.
    on_started:
        Called with the child's process number as soon as there is one.
    """

    log: Path
    on_event: Callable[[Event], None] = lambda event: None
    wanted_stop: Callable[[], str] = lambda: ""
    control: Path | None = None
    token: str = ""
    on_started: Callable[[int], None] = lambda pid: None


class NotBegunError(CopierError):
    """A worker ended before it took its job: nothing was done. `failure` says how it ended."""

    def __init__(self, failure: CopierError) -> None:
        super().__init__("The worker ended before it took its job.", "Run it again.")
        self.failure = failure


class Streams:
    """What a child writes, line by line as it comes: stdout is stream 0, stderr stream 1."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._lines: queue.Queue[tuple[int, bytes | None]] = queue.Queue(maxsize=10_000)
        self._own = [stream for stream in (process.stdout, process.stderr) if stream is not None]
        for number, stream in enumerate(self._own):
            threading.Thread(target=self._read, args=(number, stream), daemon=True).start()

    @property
    def numbers(self) -> set[int]:
        """Those that can be heard."""
        return set(range(len(self._own)))

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that was not taken."""
        return self._lines.empty()

    def take(self, timeout: float) -> tuple[int, bytes | None]:
        """The next line with its stream; None where that has ended.

        Raises
        ------
        queue.Empty
            Nothing came for `timeout` seconds.
        """
        return self._lines.get(timeout=timeout)

    def close(self) -> None:
        """Give the pipes back, once the child is gone."""
        for stream in self._own:
            stream.close()

    def _read(self, number: int, stream: IO[bytes]) -> None:
        for line in split_lines(stream):
            self._lines.put((number, line))
        self._lines.put((number, None))


class Follower:
    """Acts in the caller's thread on what a child says, until it ends, or a worker its `job`."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        streams: Streams,
        log: IO[bytes],
        watch: Watch,
        command: Command,
    ) -> None:
        self.result: dict[str, Any] = {}
        self.device = ""
        self.error: Event | None = None
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self.asked_to_save = False
        self.has_begun = True
        """False for a job that the worker did not take before it ended."""
        self._process = process
        self._streams = streams
        self._log = log
        self._watch = watch
        self._pictures = NewPictures(command.samples)
        self._bar = command.bar
        self._steps_before = command.steps_before

    def follow(self, job: str = "") -> int:
        """Until both streams end and the child is gone, or a worker's `job` is over: the exit code."""
        heard = _Job(job)
        speaking = self._streams.numbers
        last_heard = time.monotonic()
        was_noted = False
        while speaking:
            self._obey()
            try:
                number, line = self._streams.take(_POLL_SECONDS)
            except queue.Empty:
                if not was_noted and time.monotonic() - last_heard > SILENCE_SECONDS:
                    self._note_silence()
                    was_noted = True
                # A grandchild may hold the streams open long after the child itself has ended.
                if self._process.poll() is not None and self._streams.is_quiet:
                    end_group(self._process.pid)
                continue
            self._show_pictures()
            last_heard, was_noted = time.monotonic(), False
            if line is None or heard.is_end(line):
                speaking.discard(number)
            elif not heard.is_beginning(line):
                self._take(line)
        self.has_begun = heard.has_begun or not job
        return self._wait() if heard.exit_code is None else heard.exit_code

    def _note_silence(self) -> None:
        minutes = round(SILENCE_SECONDS / 60)
        self._watch.on_event({"event": "log", "text": f"no output for {minutes} minutes; it still runs"})

    def _show_pictures(self) -> None:
        for path in self._pictures.take():
            self._watch.on_event({"event": "sample", "path": str(path)})

    def _wait(self) -> int:
        while True:
            self._obey()
            try:
                return self._process.wait(timeout=_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue

    def _obey(self) -> None:
        wanted = self._watch.wanted_stop()
        if wanted == "discard" or (wanted == "save" and self._watch.control is None):
            raise CancelledError("Cancelled.", "Run again to go on from the last saved state.")
        if wanted == "save" and not self.asked_to_save and self._watch.control is not None:
            write_json(self._watch.control, {"stop": "save"})
            self.asked_to_save = True

    def _take(self, raw: bytes) -> None:
        line = raw.decode("utf-8", errors="replace")
        event = event_of(line)
        if event is None or event["event"] not in {"progress"}:
            self._log.write(raw + b"\n")
            self._log.flush()
        if event is None:
            if line.strip():
                self.last_lines.append(line.rstrip())
            return
        if event["event"] == "done":
            self.result = {key: value for key, value in event.items() if key != "event"}
        elif event["event"] == "device":
            self.device = str(event.get("kind", ""))
        elif event["event"] == "error":
            self.error = event
        elif "bar" not in event:
            self._watch.on_event(event)
        elif event.pop("bar") == self._bar:
            event["step"] += self._steps_before
            event["total"] += self._steps_before
            self._watch.on_event(event)


class _Job:
    """What a worker says of one job, in lines that nobody else can write: its id is drawn for it."""

    def __init__(self, job: str) -> None:
        self.has_begun = False
        self.exit_code: int | None = None
        self._id = job
        self._mark = job.encode()

    def is_beginning(self, line: bytes) -> bool:
        """Whether the line tells that the worker took the job."""
        is_told = self._tells("began", line) is not None
        self.has_begun |= is_told
        return is_told

    def is_end(self, line: bytes) -> bool:
        """Whether the line tells that the job is over on its stream, and how it ended."""
        told = self._tells("ended", line)
        if told is None or not has_types(told, {"exit_code": int}):
            return False
        self.exit_code = told["exit_code"]
        return True

    def _tells(self, what: str, line: bytes) -> Event | None:
        told = events.parse(line) if self._mark and self._mark in line else None
        return told if told and told["event"] == what and told.get("id") == self._id else None


def split_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines of a stream as they come; a carriage return ends one too (progress bars)."""
    pieces: list[bytes] = []
    size = 0
    descriptor = stream.fileno()
    while True:
        try:
            chunk = os.read(descriptor, _READ_BYTES)
        except (OSError, ValueError):
            chunk = b""
        if not chunk:
            break
        first, *others = _LINE_END.split(chunk)
        pieces.append(first)
        size += len(first)
        # Lines without an end are cut: no child may fill the memory of its parent.
        if others or size > _LONGEST_LINE:
            lines = [b"".join(pieces), *others]
            pieces = [lines.pop()] if others else []
            size = sum(map(len, pieces))
            yield from (line for line in lines if line)
    if rest := b"".join(pieces):
        yield rest
