"""Where the algebra runs: numpy on the CPU (torch is never imported for it), torch on a CUDA device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lib_copier.errors import InputError
from lib_copier.lora.precision import Array


@dataclass(frozen=True)
class Device:
    """An array module, and how arrays get there and back."""

    name: str
    xp: Any

    @property
    def is_cpu(self) -> bool:
        return self.name == "cpu"

    @property
    def kind(self) -> str:
        """``CPU``, or a GPU by its own name."""
        return "CPU" if self.is_cpu else str(self.xp.cuda.get_device_name(self.name))

    def put(self, array: Array) -> Any:
        """The array on this device, in its own type."""
        return array if self.is_cpu else self.xp.from_numpy(np.ascontiguousarray(array)).to(self.name)

    def get(self, array: Any) -> Array:
        """An array of this device as a numpy array."""
        found: Array = array if self.is_cpu else array.cpu().numpy()
        return found


CPU = Device("cpu", np)


def choose_device(name: str | None) -> Device:
    """The device for a `--device` value; nothing, `cpu` and `auto` mean the CPU, which is fast enough.

    Raises
    ------
    InputError
        Where the device is unknown or not there.
    """
    if name in (None, "cpu", "auto"):
        return CPU
    if name != "cuda" and not str(name).startswith("cuda:"):
        raise InputError(f"Unknown device {name!r}.", "Use cpu or cuda.")
    try:
        import torch
    except ImportError as error:
        raise InputError(
            "--device cuda needs torch, which is not installed.", "Leave --device out."
        ) from error
    if not torch.cuda.is_available():
        raise InputError("No CUDA device is available.", "Leave --device out: the CPU needs about a second.")
    return Device(str(name), torch)
