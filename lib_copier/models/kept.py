"""Parts of checkpoints that a process keeps for its next job, where it says that there will be one.

What is handed out is a copy that shares the tensors: a job may move, hook and train it as its own, and adds
to weights in tensors of its own. A file that was replaced, or written again, is another file.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from lib_copier.model_file.header import file_sha256

Key = tuple[Hashable, ...]

_DIGESTS_KEPT = 64


class KeptParts:
    """What is kept, least recently used first to go."""

    def __init__(self) -> None:
        self._share = 0.0
        self._parts: OrderedDict[Key, Any] = OrderedDict()
        self._digests: OrderedDict[Key, str] = OrderedDict()

    def keep(self, share: float) -> None:
        """Keep parts from now on, in so much of each device's memory."""
        self._share = share

    def free(self) -> None:
        """Let go of everything; it is made again when it is asked for."""
        self._parts.clear()

    def has(self, key: Key) -> bool:
        """Whether `take` would make nothing."""
        return key in self._parts

    def take(self, key: Key, make: Callable[[], Any]) -> Any:
        """A module or a tuple of modules: one that is kept, else made and, where there is room, kept."""
        if key not in self._parts:
            made = make()
            if not (self._share and self._make_room(*_weight_of(made))):
                return made
            self._parts[key] = made
        self._parts.move_to_end(key)
        return _shared(self._parts[key])

    def sha256(self, path: Path) -> str:
        """A file's digest; read once, as long as the file stays what it is."""
        state = file_state(path)
        if state not in self._digests:
            self._digests[state] = file_sha256(path)
            while len(self._digests) > _DIGESTS_KEPT:
                self._digests.popitem(last=False)
        return self._digests[state]

    def _make_room(self, device: torch.device, size: int) -> bool:
        budget = self._share * _memory(device)
        if size > budget:
            return False
        weights = {key: _weight_of(part) for key, part in self._parts.items()}
        own = {key: weight for key, (where, weight) in weights.items() if where == device}
        while sum(own.values()) + size > budget:
            oldest = next(iter(own))
            del own[oldest], self._parts[oldest]
        return True


KEPT = KeptParts()
"""This process's; it keeps nothing unless told to."""


def file_state(path: Path) -> Key:
    """What is another for a file that was replaced or written to; raises nothing where it is missing."""
    try:
        found = path.stat()
    except OSError:
        return (str(path),)
    return str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _modules(part: Any) -> tuple[nn.Module, ...]:
    return part if isinstance(part, tuple) else (part,)


def _weight_of(part: Any) -> tuple[torch.device, int]:
    """Where it is, and its bytes."""
    tensors = [tensor for module in _modules(part) for tensor in (*module.parameters(), *module.buffers())]
    return tensors[0].device, sum(tensor.nbytes for tensor in tensors)


def _memory(device: torch.device) -> int:
    """Bytes that the device has in all; the processor's for those that do not tell."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)


def _shared(part: Any) -> Any:
    """Modules of their own over the same tensors."""
    if isinstance(part, tuple):
        return tuple(_shared(module) for module in part)
    known: dict[int, Any] = {
        id(one): nn.Parameter(one.detach(), requires_grad=False) for one in part.parameters()
    }
    known |= {id(one): one.detach() for one in part.buffers()}
    return copy.deepcopy(part, known)
