"""What trainings gave, to be compared; and wishes to stop at a certain step."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lib_copier.lora.file import read_lora
from lib_copier.train.control import StopRequests


def tensors(path: Path) -> dict[str, np.ndarray]:
    found = {}
    for name, layer in read_lora(path).layers.items():
        found |= {f"{name}.up": layer.up, f"{name}.down": layer.down}
    return found


def are_equal(first: Path, second: Path) -> bool:
    a, b = tensors(first), tensors(second)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


class StopAt(StopRequests):
    """Wishes to stop once a number of steps has been asked about."""

    def __init__(self, step: int, wish: str) -> None:
        super().__init__(None)
        self._left = step
        self._word = wish

    def wish(self) -> str | None:
        self._left -= 1
        return self._word if self._left < 0 else None
