"""Where a model runs: device, number format and threads, from what the user asked for and what is there."""

from __future__ import annotations

import os

import psutil
import torch

from lib_copier.errors import InputError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_LOOK_SECONDS = 0.1


def choose_device(name: str = "auto") -> torch.device:
    """The device by name; ``auto`` is the first GPU, else the processor.

    Raises
    ------
    InputError
        If the name is no device, or the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"Unknown device {name!r}.", "Use auto, cpu, cuda or cuda:N.") from None
    if device.type == "cuda" and not (
        torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    ):
        raise InputError(f"There is no device {name!r} that torch can use.", "Use --device cpu.")
    return device


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The number format by name; ``auto`` is fp16 on a GPU and fp32 on a processor.

    Raises
    ------
    InputError
        If the name is none of ``auto``, ``fp32``, ``bf16`` and ``fp16``.
    """
    if precision == "auto":
        return torch.float32 if device.type == "cpu" else torch.float16
    if precision not in PRECISIONS:
        raise InputError(f"Unknown precision {precision!r}.", f"Use auto, {', '.join(PRECISIONS)}.")
    return PRECISIONS[precision]


def idle_cores() -> int:
    """How many cores to compute on: those allowed to this process less those that others keep busy.

    Threads wait for each other after every small product. One that shares its core with another program
    holds up all: two threads on one idle and one busy core were seen to take fifty times as long as one.
    An explicit OMP_NUM_THREADS wins.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    shares = psutil.cpu_percent(interval=_LOOK_SECONDS, percpu=True)
    if hasattr(psutil.Process, "cpu_affinity"):
        allowed = set(psutil.Process().cpu_affinity())
        shares = [share for core, share in enumerate(shares) if core in allowed]
    busy = round(sum(shares) / 100.0)
    threads_per_core = (psutil.cpu_count() or 1) / (
        psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    )
    return max(1, int(len(shares) / max(threads_per_core, 1.0)) - busy)
