"""Counts the bytes of all tensors that are alive while operations run, also of tensors without contents."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveTensors(TorchDispatchMode):
    """Within this context every new tensor is counted until its memory is let go.

    `peak` is the largest count seen, in bytes; what several tensors share counts once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def add(self, tensors: Iterable[torch.Tensor]) -> int:
        """Count tensors that exist already; returns how many bytes that added."""
        before = self.now
        for tensor in tensors:
            self._count(tensor.untyped_storage())
        return self.now - before

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known.add(storage)
        weakref.finalize(storage, self._let_go, size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _let_go(self, size: int) -> None:
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.add(leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor))
        return result
