"""How many cores are ours: those that this process may use, but no more than its container is granted."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_CONTROL = Path("/sys/fs/cgroup")
_TIMES = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
"""Where Linux tells a container's time and the time in which it may be used (cgroup 2, cgroup 1), in µs."""


def granted_cores() -> int:
    """At least one. A container shows all cores of its machine, though it may have time of two of them."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _granted_time() or allowed))


def _granted_time() -> int:
    """In whole cores, begun ones too; 0 where nothing is limited."""
    for names in _TIMES:
        # Without a limit the time is `max`, or below 0.
        with suppress(OSError, ValueError):
            time, period = " ".join((_CONTROL / name).read_text() for name in names).split()
            if int(time) > 0 and int(period) > 0:
                return -(-int(time) // int(period))
    return 0
