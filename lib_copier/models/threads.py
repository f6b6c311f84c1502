"""How many threads to compute with, and how they wait: chosen at the start of a job.

Sums that are split over another number of threads round differently, so a run keeps its number to the end.
What is given up: a program that comes later shares its cores with the run, and slows it down.
"""

from __future__ import annotations

import os

from lib_copier.border.cores import granted_cores
from lib_copier.models.heap import keep_heap

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


def prepare_waiting() -> None:
    """Threads sleep at barriers after a short spin, unless the user has set another way."""
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)


def prepare_environment() -> None:
    """One thread an idle core, which sleeps at barriers after a short spin; what the user has set stays.

    Freed memory is kept (`keep_heap`).
    """
    prepare_waiting()
    keep_heap()
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(thread_count())


def settle_threads() -> None:
    """Let torch, once it is loaded, compute with the threads that the environment names.

    It reads the environment only as it loads, and rounds another way where it was told itself: every job is
    told, the first of a process too.
    """
    import torch

    named = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if named.isdigit() and int(named) > 0:
        torch.set_num_threads(int(named))


def thread_count() -> int:
    """The cores that this process may use, less those that others keep busy just now; at least one.

    A container has no more than it is granted.

    Threads wait for each other after every small product, so one that has to share its core holds up
    all. Hyper-threads beyond the cores bring nothing.
    """
    import psutil

    shares = psutil.cpu_percent(interval=_LOOK_SECONDS, percpu=True)
    allowed = _allowed_cores(len(shares))
    busy = sum(shares[core] > _BUSY_PERCENT for core in allowed)
    cores = min(len(allowed), psutil.cpu_count(logical=False) or len(allowed))
    return max(1, min(cores - busy, granted_cores()))


def _allowed_cores(count: int) -> list[int]:
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(count)
    return [core for core in allowed if core < count]
