"""Runs one child process: logged, listened to, stopped with its whole tree, explained when it fails."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_copier.border.child import start_options
from lib_copier.engines.advice import advice_for, ending
from lib_copier.engines.command_files import collect, prepare
from lib_copier.engines.listening import Follower, NotBegunError, Streams, Watch
from lib_copier.engines.shell_line import shell_line
from lib_copier.engines.task import Command
from lib_copier.engines.tree import TOKEN_VARIABLE, end_group, end_tree
from lib_copier.errors import CancelledError, ChildError, InputError

CONTROL_VARIABLE = "COPIER_LORA_CONTROL"


@dataclass
class Outcome:
    """What is left of a child that ended well."""

    result: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    was_stopped: bool = False
    """It ended early because it was asked to save and end."""
    is_finished: bool = False
    """What its step does to the outputs after the command is done too."""
    device: str = ""
    """On what it ran, where results depend on that up to rounding: ``CPU``, or a GPU by its name."""


def shown(command: Command) -> str:
    """The command as a line that can be pasted into a shell."""
    return shell_line(command)


class Child:
    """A process that works for this one: its own command's, or a worker that does it as a job."""

    def __init__(self, command: Command, environment: Mapping[str, str], *, is_worker: bool = False) -> None:
        try:
            self.process = subprocess.Popen(
                command.argv,
                cwd=command.cwd,
                env=dict(environment),
                stdin=subprocess.PIPE if is_worker else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                **start_options(own_group=True),
            )
        except OSError as error:
            raise InputError(
                f"{command.argv[0]} cannot be started: {error.strerror or error}.",
                "Run `python run.py setup`, or name another Python in COPIER_LORA_PYTHON.",
            ) from error
        self.streams = Streams(self.process)

    def begin(self, command: Command, watch: Watch) -> str:
        """Have it begin; the id of the job where it is one among others."""
        return ""

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """End it with all that it started."""
        end_tree(self.process.pid)
        self.close()

    def close(self) -> None:
        """Give back what a process that is gone, or about to go, has held here."""
        self.process.wait()
        # A tool may leave helpers behind (worker processes); the work is over, so are they.
        end_group(self.process.pid)
        self.streams.close()
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()


def run_command(command: Command, watch: Watch, worker: Child | None = None) -> Outcome:
    """Run a child to its end, or have a worker do the same in its own process.

    Raises
    ------
    ChildError
        It failed; the message says how, the advice what to do.
    CancelledError
        `wanted_stop` asked for it, or the user pressed Ctrl-C; nothing of the child's tree runs on.
    InputError
        Its program could not be started.
    NotBegunError
        The worker had ended; another one can do it.
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
        child = worker or Child(command, environment_of(command, token=watch.token, control=watch.control))
        try:
            watch.on_started(child.process.pid)
            follower = Follower(child.process, child.streams, log, watch, command)
            returncode = follower.follow(child.begin(command, watch))
        except BaseException:
            child.end()
            raise
    if worker is None or not worker.is_alive:
        child.close()
    if returncode != 0 or not follower.has_begun:
        failure = _failure(command, returncode, follower)
        raise failure if follower.has_begun else NotBegunError(failure)
    collect(command, tuple(follower.last_lines))
    seconds = time.monotonic() - started
    return Outcome(follower.result, seconds, follower.asked_to_save, device=follower.device)


def environment_of(command: Command, *, token: str = "", control: Path | None = None) -> dict[str, str]:
    """What a process of the command's own finds in its environment."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **dict(command.env)}
    environment[TOKEN_VARIABLE] = token
    environment.pop(CONTROL_VARIABLE, None)
    if control is not None:
        environment[CONTROL_VARIABLE] = str(control)
    return environment


def _failure(command: Command, returncode: int, follower: Follower) -> ChildError | CancelledError:
    error = follower.error
    if error is not None and error.get("exit_code") == CancelledError.exit_code:
        return CancelledError()
    lines = tuple(follower.last_lines)
    if error is not None and error.get("what"):
        what, advice = str(error["what"]), str(error.get("advice") or "")
    else:
        last = lines[-1][:300].rstrip(".") if lines else ""
        what = f"The child process {ending(returncode)}" + (f": {last}" if last else "") + "."
        advice = advice_for(returncode, lines)
    return ChildError(what, advice, argv=command.argv, returncode=returncode, last_lines=lines)
