"""Children that stay: each does one embedded job after the other and keeps what the next one needs.

A job in a worker is a job in a process of its own: the same bytes, messages and log. A worker outlives
jobs that ended well or told bad input; any other end is its own end too, so that the next job finds a fresh
one. It works in one environment: a command that needs another one gets another worker. Its pipe is what it
lives by: it ends when that closes, whatever became of this process, and by itself when nothing comes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any
from uuid import uuid4

from lib_copier.engines.listening import NotBegunError, Watch
from lib_copier.engines.process import Child, Outcome, environment_of, run_command
from lib_copier.engines.task import Command

WORKER = ("-m", "lib_copier.worker")


class Worker(Child):
    """One child that stays, for commands of one Python in one environment."""

    def __init__(self, command: Command, watch: Watch) -> None:
        python = command.argv[0]
        super().__init__(
            replace(command, argv=(python, *WORKER)),
            environment_of(command, token=watch.token),
            is_worker=True,
        )
        self._surroundings = _surroundings(command)

    def fits(self, command: Command) -> bool:
        """Whether a process of the command's own would find what this one has found."""
        return self.is_alive and self._surroundings == _surroundings(command)

    def begin(self, command: Command, watch: Watch) -> str:
        assert command.job is not None
        name = uuid4().hex
        control = "" if watch.control is None else str(watch.control)
        job = {"part": command.job[0], "arguments": command.job[1:], "control": control}
        self._send({"do": "job", "id": name, **job})
        return name

    def free(self) -> None:
        """Have it give back what it keeps for the next job, on the device too."""
        self._send({"do": "free"})

    def stop(self) -> None:
        """End it between two jobs; there is nothing to lose."""
        self.process.kill()
        self.close()

    def _send(self, task: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        # One that has just ended is known by its silence.
        with suppress(OSError):
            self.process.stdin.write(json.dumps(task).encode() + b"\n")
            self.process.stdin.flush()


class Workers:
    """The workers of one process: as many as jobs run side by side. A context, at whose end all are gone."""

    def __init__(self) -> None:
        self.starts = 0
        """How many processes were started for commands so far."""
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def run(self, command: Command, watch: Watch) -> Outcome:
        """Run a command as `run_command` does: in a worker where it is a job of one; any thread may.

        Raises what `run_command` raises.
        """
        if command.job is None:
            self.starts += 1
            return run_command(command, watch)
        while True:
            worker, is_fresh = self._take(command, watch)
            try:
                return run_command(command, watch, worker)
            except NotBegunError as error:
                # One that was idle may have ended just then; a fresh one has no such excuse.
                if is_fresh:
                    raise error.failure from None
            finally:
                self._put_back(worker)

    def free(self) -> None:
        """Have the idle ones give back the memory that they keep, on the device too."""
        with self._lock:
            for worker in self._idle:
                worker.free()

    def close(self) -> None:
        """End the idle ones."""
        with self._lock:
            while self._idle:
                self._idle.pop().stop()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, command: Command, watch: Watch) -> tuple[Worker, bool]:
        with self._lock:
            for worker in self._idle:
                if worker.fits(command):
                    self._idle.remove(worker)
                    return worker, False
            # Those that do not fit would only hold memory beside the new one.
            while self._idle:
                self._idle.pop().stop()
            self.starts += 1
        return Worker(command, watch), True

    def _put_back(self, worker: Worker) -> None:
        with self._lock:
            if worker.is_alive:
                self._idle.append(worker)


def _surroundings(command: Command) -> tuple[Any, ...]:
    """What a process takes from its start and keeps to its end."""
    return command.argv[0], command.cwd, environment_of(command)
