"""What to do about a failed child, read from its exit code and its last lines."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

_SIGNS: tuple[tuple[str, str], ...] = (
    (
        r"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory|cublas.*ALLOC_FAILED",
        "The GPU's memory is full: lower the batch or the picture's size, turn gradient checkpointing on, "
        "or close what else uses the GPU.",
    ),
    (
        r"CUDA error: (?!out of memory)|CUDNN_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR)|GPU is lost|"
        r"driver shutting down",
        "The GPU or its driver failed: run it again, it goes on from its last saved state; if it comes back, "
        "restart the machine.",
    ),
    (
        r"MemoryError|Cannot allocate memory|DefaultCPUAllocator|std::bad_alloc",
        "The memory is full: close other programs, or lower the rank, the batch or the size.",
    ),
    (r"No space left on device|\[Errno 28\]|WinError 112", "The disk is full: free space, then run again."),
    (
        r"No module named ['\"]?(?P<name>[\w.]+)",
        "The package {name} is missing in the engine's environment: run `python run.py setup`, or for "
        "sd-scripts `python run.py engine install`.",
    ),
    (r"Permission denied|\[Errno 13\]|WinError 5\b", "A file or folder may not be written: check rights."),
    (r"CUDA driver version is insufficient|no CUDA-capable device|Torch not compiled with CUDA",
     "This PyTorch finds no usable GPU: choose device cpu, or install your GPU's build."),
    (r"unrecognized arguments|the following arguments are required",
     "The engine does not know an option: install the pinned one by `python run.py engine install`."),
    (
        r"(?:fp16|bf16) mixed precision requires",
        "PyTorch finds no GPU for that precision: choose precision fp32, or install a build for your GPU.",
    ),
    (
        r"LocalEntryNotFoundError|Can't load tokenizer|couldn't connect to ['\"]?https?://|MaxRetryError.*huggingface",
        "A file from the model hub is neither here nor to be reached: connect once so that it is fetched, or "
        "name a local folder that holds it.",
    ),
    (
        r"Error\(s\) in loading state_dict|size mismatch for",
        "The file does not fit the model: check that checkpoint, VAE and LoRAs are of one family.",
    ),
    (
        r"(?:FileNotFoundError|No such file or directory)[^'\"]*['\"](?P<path>[^'\"]+)['\"]",
        "{path} is missing: check the path, or run the step before it again.",
    ),
    (r"loss is nan|NaN detected|loss=nan", "The training ran away: lower the learning rate."),
)  # fmt: skip

_SIGNALS = {
    "SIGKILL": "The system killed it, most likely because memory ran out: close other programs, or lower "
    "the batch or the size.",
    "SIGSEGV": "It crashed inside a compiled library: run it again; if it comes back, reinstall the "
    "environment.",
    "SIGTERM": "Somebody ended it: run it again, it goes on from its last saved state.",
}


def advice_for(returncode: int, last_lines: Sequence[str]) -> str:
    """One sentence that says what to do next."""
    text = "\n".join(last_lines)
    for pattern, advice in _SIGNS:
        found = re.search(pattern, text)
        if found:
            return advice.format(**found.groupdict())
    return _SIGNALS.get(signal_name(returncode), "Look at its log for the cause.")


def signal_name(returncode: int) -> str:
    """The signal that an exit code stands for (negative, or 128 + n as shells write it); else empty."""
    number = -returncode if returncode < 0 else returncode - 128
    try:
        return signal.Signals(number).name if returncode < 0 or returncode in {134, 137, 139, 143} else ""
    except ValueError:
        return ""


def ending(returncode: int) -> str:
    """How a child ended, in words."""
    name = signal_name(returncode)
    return f"was ended by {name}" if name else f"ended with exit code {returncode}"
