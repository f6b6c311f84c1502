"""One job a GPU: where the lock of a device lies, for all projects of this user."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

LOCKS_VARIABLE = "COPIER_LORA_LOCKS"
"""Names another folder for the locks of devices."""


def locks_folder() -> Path:
    """The folder of the device locks: the user's own, in the system's place for what may vanish."""
    named = os.environ.get(LOCKS_VARIABLE)
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(named) if named else Path(tempfile.gettempdir()) / f"copier-lora-{user}"


def device_lock(device: str) -> Path | None:
    """The lock of a device; ``auto`` may take the first GPU, the CPU is shared freely."""
    if device == "cpu":
        return None
    number = device.partition(":")[2] or "0"
    return locks_folder() / f"gpu-{number if number.isdigit() else '0'}.lock"
