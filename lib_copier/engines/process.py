"""Runs one child process: logged, listened to, stopped with its whole tree, explained when it fails."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lib_copier.child import start_options
from lib_copier.disk import write_json
from lib_copier.engines.advice import advice_for, ending
from lib_copier.engines.command_files import NewPictures, collect, prepare
from lib_copier.engines.progress import event_of
from lib_copier.engines.shell_line import shell_line
from lib_copier.engines.task import Command
from lib_copier.engines.tree import TOKEN_VARIABLE, end_group, end_tree
from lib_copier.errors import CancelledError, ChildError, InputError

CONTROL_VARIABLE = "COPIER_LORA_CONTROL"

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


@dataclass
class Outcome:
    """What is left of a child that ended well."""

    result: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    was_stopped: bool = False
    """It ended early because it was asked to save and end."""


def shown(command: Command) -> str:
    """The command as a line that can be pasted into a shell."""
    return shell_line(command)


def run_command(command: Command, watch: Watch) -> Outcome:
    """Run a child to its end.

    Raises
    ------
    ChildError
        It failed; the message says how, the advice what to do.
    CancelledError
        `wanted_stop` asked for it, or the user pressed Ctrl-C; nothing of the child's tree runs on.
    InputError
        Its program could not be started.
    """
    started = time.monotonic()
    prepare(command)
    if watch.control is not None:
        watch.control.unlink(missing_ok=True)
    watch.log.parent.mkdir(parents=True, exist_ok=True)
    with watch.log.open("ab") as log:
        log.write(f"$ {shown(command)}\n".encode())
        log.flush()
        for note in command.notes:
            watch.on_event({"event": "log", "text": note})
        process = _spawn(command, watch)
        try:
            watch.on_started(process.pid)
            follower = _Follower(process, log, watch, pictures=NewPictures(command.samples), command=command)
            returncode = follower.follow()
        except BaseException:
            end_tree(process.pid)
            process.wait()
            raise
        finally:
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
    if returncode != 0:
        raise _failure(command, returncode, follower)
    # A tool may leave helpers behind (worker processes); the step is over, so are they.
    end_group(process.pid)
    collect(command, tuple(follower.last_lines))
    return Outcome(follower.result, time.monotonic() - started, follower.asked_to_save)


def _spawn(command: Command, watch: Watch) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **dict(command.env)}
    environment[TOKEN_VARIABLE] = watch.token
    if watch.control is not None:
        environment[CONTROL_VARIABLE] = str(watch.control)
    else:
        environment.pop(CONTROL_VARIABLE, None)
    try:
        return subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **start_options(own_group=True),
        )
    except OSError as error:
        raise InputError(
            f"{command.argv[0]} cannot be started: {error.strerror or error}.",
            "Run `python run.py setup`, or name another Python in COPIER_LORA_PYTHON.",
        ) from error


class _Follower:
    """Reads both streams of a child in threads and acts on what they say in the caller's thread."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        log: IO[bytes],
        watch: Watch,
        *,
        pictures: NewPictures,
        command: Command,
    ) -> None:
        self.result: dict[str, Any] = {}
        self.error: Event | None = None
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self.asked_to_save = False
        self._process = process
        self._log = log
        self._watch = watch
        self._pictures = pictures
        self._bar = command.bar
        self._steps_before = command.steps_before
        self._lines: queue.Queue[bytes | None] = queue.Queue(maxsize=10_000)
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (process.stdout, process.stderr)
            if stream is not None
        ]

    def _read(self, stream: IO[bytes]) -> None:
        for line in split_lines(stream):
            self._lines.put(line)
        self._lines.put(None)

    def follow(self) -> int:
        """Until both streams end and the child is gone; its exit code."""
        for reader in self._readers:
            reader.start()
        open_streams = len(self._readers)
        last_heard = time.monotonic()
        was_noted = False
        while open_streams:
            self._obey()
            try:
                line = self._lines.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if not was_noted and time.monotonic() - last_heard > SILENCE_SECONDS:
                    minutes = round(SILENCE_SECONDS / 60)
                    self._watch.on_event(
                        {"event": "log", "text": f"no output for {minutes} minutes; it still runs"}
                    )
                    was_noted = True
                # A grandchild may hold the streams open long after the child itself has ended.
                if self._process.poll() is not None and self._lines.empty():
                    end_group(self._process.pid)
                continue
            self._show_pictures()
            last_heard, was_noted = time.monotonic(), False
            if line is None:
                open_streams -= 1
            else:
                self._take(line)
        return self._wait()

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
        elif event["event"] == "error":
            self.error = event
        elif "bar" not in event:
            self._watch.on_event(event)
        elif event.pop("bar") == self._bar:
            event["step"] += self._steps_before
            event["total"] += self._steps_before
            self._watch.on_event(event)


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


def _failure(command: Command, returncode: int, follower: _Follower) -> ChildError | CancelledError:
    error = follower.error
    if error is not None and error.get("exit_code") == CancelledError.exit_code:
        return CancelledError()
    lines = tuple(follower.last_lines)
    if error is not None and error.get("what"):
        what, advice = str(error["what"]), str(error.get("advice") or "")
    else:
        what = f"The child process {ending(returncode)}" + (f": {lines[-1][:300]}" if lines else "") + "."
        advice = advice_for(returncode, lines)
    return ChildError(what, advice, argv=command.argv, returncode=returncode, last_lines=lines)
