"""One job a GPU: where the lock of a device lies, for all projects of this user."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from functools import lru_cache
from pathlib import Path

from lib_copier.border.cores import granted_cores
from lib_copier.engines.workers import Workers
from lib_copier.environment.torch_build import look_at_machine
from lib_copier.graph.executor import Local
from lib_copier.graph.step import Plan

LOCKS_VARIABLE = "COPIER_LORA_LOCKS"
"""Names another folder for the locks of devices."""
_TRAININGS = frozenset({"base", "copier", "edited_copier", "edit_lora", "control_lora"})


def locks_folder() -> Path:
    """The folder of the device locks: the user's own, in the system's place for what may vanish."""
    named = os.environ.get(LOCKS_VARIABLE)
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(named) if named else Path(tempfile.gettempdir()) / f"copier-lora-{user}"


def steps_at_once(device: str, wanted: int) -> int:
    """How many steps may run side by side: as wanted on the CPU, with a core each; a GPU takes one."""
    if wanted <= 1 or not is_cpu(device):
        return 1
    return min(wanted, granted_cores())


def executor_for(device: str, wanted: int, workers: Workers | None, plan: Plan | None = None) -> Local:
    """Children of this process for work on a device; beside a GPU's step one more runs on the processor.

    The cores are shared among as many as the whole `plan` trains at a time: that is where its time goes.
    """
    heavy = None if plan is None else trainings_at_once(plan)
    return Local(workers, steps_at_once(device, wanted), beside=0 if is_cpu(device) else 1, heavy=heavy)


def trainings_at_once(plan: Plan) -> int:
    """The most trainings of a plan that stand equally many steps from its beginning."""
    depths: dict[str, int] = {}
    for step in plan:
        depths[step.id] = 1 + max((depths[before] for before in step.follows), default=0)
    found = Counter(depths[step.id] for step in plan if step.kind in _TRAININGS)
    return max(found.values(), default=1)


def is_cpu(device: str) -> bool:
    """Whether work for this device runs on the CPU for certain."""
    return device == "cpu" or (device == "auto" and not _has_gpu())


@lru_cache(maxsize=1)
def _has_gpu() -> bool:
    """Whether ``auto`` may find a GPU: without loading torch, the answer is yes in doubt."""
    machine = look_at_machine()
    return bool(machine.nvidia or machine.amd)


def device_lock(device: str) -> Path | None:
    """The lock of a device; ``auto`` takes the first GPU where there may be one, the CPU is shared freely."""
    if is_cpu(device):
        return None
    number = device.partition(":")[2] or "0"
    return locks_folder() / f"gpu-{number if number.isdigit() else '0'}.lock"
