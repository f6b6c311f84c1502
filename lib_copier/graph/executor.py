"""Where the commands of steps run: in children of this process, or wherever else somebody brings them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Protocol

from lib_copier.border.cores import granted_cores
from lib_copier.engines.listening import Watch
from lib_copier.engines.process import Outcome
from lib_copier.engines.task import Command
from lib_copier.engines.workers import Workers
from lib_copier.graph.step import Workplace

_THREADS = "OMP_NUM_THREADS"
_NO_GPU = (("CUDA_VISIBLE_DEVICES", ""), ("HIP_VISIBLE_DEVICES", ""))


@dataclass(frozen=True)
class Work:
    """A step that is to be done by a command.

    Parameters
    ----------
    place:
        The step with its inputs and its folders, as they are here.
    command:
        What does it here. Elsewhere the step's action makes another one, of the paths there.
    digests:
        SHA-256 of the inputs, in their order: what each is, wherever it lies.
    """

    place: Workplace
    command: Command
    digests: tuple[str, ...] = ()
    is_beside: bool = False
    """It runs on the processor while another step has the device."""


class Executor(Protocol):
    """Runs commands; any thread may ask it to."""

    @property
    def at_once(self) -> int:
        """How many steps may be under way at once."""
        ...

    @property
    def beside(self) -> int:
        """How many more that can run beside a step that has the device (`Step.beside`)."""
        ...

    def run(self, work: Work, watch: Watch) -> Outcome:
        """Do a step's command to its end: its outputs lie in ``work.place.out`` then.

        Raises
        ------
        ChildError, InputError
            It failed, or cannot be done here.
        CancelledError
            `watch.wanted_stop` asked for it; nothing of it runs on.
        """
        ...

    def rest(self, *, leaves_device: bool) -> None:
        """A run is over: give back what is kept for another one, on the device if that is for others now."""
        ...


class Local:
    """Children of this process: workers that stay for our own parts, a process each for others.

    `workers` that are given go on after a run. With `at_once` above 1 each child has its share of the cores,
    unless the user has set a number of threads: one of `heavy` shares, where so few have much to do at a
    time. What runs beside the others sees no GPU.
    """

    def __init__(
        self, workers: Workers | None = None, at_once: int = 1, beside: int = 0, heavy: int | None = None
    ) -> None:
        self.at_once = at_once
        self.beside = beside
        self._shares = at_once if heavy is None else max(1, min(heavy, at_once))
        self._workers = workers or Workers()
        self._are_own = workers is None

    def run(self, work: Work, watch: Watch) -> Outcome:
        command = self._with_its_share(work.command)
        if work.is_beside:
            command = replace(command, env=(*command.env, *_NO_GPU))
        return self._workers.run(command, watch)

    def rest(self, *, leaves_device: bool) -> None:
        if self._are_own:
            self._workers.close()
        elif leaves_device:
            self._workers.free()

    def _with_its_share(self, command: Command) -> Command:
        if self.at_once == 1 or _THREADS in os.environ:
            return command
        threads = max(1, granted_cores() // self._shares)
        return replace(command, env=(*command.env, (_THREADS, str(threads))))
