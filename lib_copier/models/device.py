"""Where a model runs: device and number format, from what the user asked for and what is there."""

from __future__ import annotations

import torch

from lib_copier.border import events
from lib_copier.errors import InputError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_FIRST_WITH_BF16 = (8, 0)


def choose_device(name: str = "auto") -> torch.device:
    """The device by name; ``auto`` is the first GPU, else the processor.

    A GPU becomes the process's current one, so that its streams, events and graphs are those of the kernels.

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
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def tell_device(device: torch.device) -> None:
    """Tell the parent process on what a job runs: ``CPU``, or a GPU by its own name, for the record."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    events.emit("device", kind=kind)


def choose_dtype(precision: str, device: torch.device, *, is_training: bool = False) -> torch.dtype:
    """The number format by name; ``auto`` is fp32 on a processor and fp16 on a GPU.

    Training takes bf16, whose range holds every gradient, on CUDA devices that compute in it themselves (from
    compute capability 8.0 on; older ones only emulate it, slower), and fp32 on other GPUs.

    Raises
    ------
    InputError
        If the name is none of ``auto``, ``fp32``, ``bf16`` and ``fp16``.
    """
    if precision == "auto":
        if device.type == "cpu" or is_training and device.type != "cuda":
            return torch.float32
        if is_training and torch.cuda.get_device_capability(device) >= _FIRST_WITH_BF16:
            return torch.bfloat16
        return torch.float16
    if precision not in PRECISIONS:
        raise InputError(f"Unknown precision {precision!r}.", f"Use auto, {', '.join(PRECISIONS)}.")
    return PRECISIONS[precision]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch raised this because memory ran out, of a GPU or of the machine."""
    text = str(error).lower()
    is_cuda = isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in text
    return is_cuda or "allocate memory" in text
