"""How many threads to compute with, and how they wait: set before torch is first imported, and watched."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

_WAITING = {
    # Threads that spin without end while they wait for each other take a busy machine's time for nothing:
    # beside another program on one of two cores, steps became fifty times slower. Threads that sleep at
    # once pay for their waking after every small product: a step of the demo checkpoint took 0.46 s on two
    # threads, 0.36 s on one. Some microseconds of spinning (0.25 s) do neither.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "2000",
    "KMP_BLOCKTIME": "0",
}


_LOOK_SECONDS = 0.1
_BUSY_PERCENT = 50.0
"""A core that others use for more than this share of the time is left to them."""
_BALANCE_SECONDS = 4.0


def prepare_environment() -> None:
    """One thread an idle core, which sleeps at barriers after a short spin; what the user has set stays."""
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(thread_count())


def thread_count() -> int:
    """The cores that this process may use, less those that others keep busy just now; at least one.

    Threads wait for each other after every small product, so one that has to share its core holds up
    all. Hyper-threads beyond the cores bring nothing.
    """
    import psutil

    shares = psutil.cpu_percent(interval=_LOOK_SECONDS, percpu=True)
    allowed = _allowed_cores(len(shares))
    busy = sum(shares[core] > _BUSY_PERCENT for core in allowed)
    cores = min(len(allowed), psutil.cpu_count(logical=False) or len(allowed))
    return max(1, cores - busy)


@dataclass(frozen=True)
class CpuUse:
    """Seconds at one moment: the clock's, those that our cores have worked in all, and for us."""

    clock: float
    cores: float
    own: float


def cpu_use() -> CpuUse:
    """What the cores that this process may use have done until now."""
    import psutil

    times = psutil.cpu_times(percpu=True)
    worked = sum(
        sum(getattr(times[core], kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq"))
        for core in _allowed_cores(len(times))
    )
    own = psutil.Process().cpu_times()
    return CpuUse(time.monotonic(), worked, own.user + own.system)


class ThreadBalance:
    """Leaves cores that other programs come to keep busy to them, and takes them back afterwards.

    Never more threads than there were at first. Only what lasts for two looks counts, so that a short run
    keeps its number: sums that are split over another number of threads round differently.
    """

    def __init__(
        self, threads: int, change: Callable[[int], None], *, look: Callable[[], CpuUse] = cpu_use
    ) -> None:
        self._most = self._now = self._wanted = threads
        self._change = change
        self._look = look
        self._last = look()
        self._due = time.monotonic() + _BALANCE_SECONDS

    def __call__(self) -> None:
        """To be called often; looks every few seconds, and not at all where there is one thread."""
        if self._most == 1 or time.monotonic() < self._due:
            return
        use, last = self._look(), self._last
        self._last, self._due = use, time.monotonic() + _BALANCE_SECONDS
        seconds = max(use.clock - last.clock, 1e-3)
        others = ((use.cores - last.cores) - (use.own - last.own)) / seconds
        # A program that shares a core with one of our threads gets half of it.
        wanted = min(self._most, max(1, self._most - round(others + 0.2)))
        if wanted == self._wanted != self._now:
            self._now = wanted
            self._change(wanted)
        self._wanted = wanted


def _allowed_cores(count: int) -> list[int]:
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(count)
    return [core for core in allowed if core < count]
