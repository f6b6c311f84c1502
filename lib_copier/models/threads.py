"""How many threads to compute with, and how they wait; to be set before torch is first imported."""

from __future__ import annotations

import os

_WAITING = {
    # Threads that spin while they wait for each other take a busy machine's time for nothing: beside
    # another program on one of two cores, steps became fifty times slower.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "KMP_BLOCKTIME": "0",
}


def prepare_environment() -> None:
    """Let OpenMP's threads sleep at barriers, one a core; what the user has set already stays."""
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("OMP_NUM_THREADS", str(thread_count()))


def thread_count() -> int:
    """One a core that this process may use: hyper-threads beyond the cores bring nothing."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))
