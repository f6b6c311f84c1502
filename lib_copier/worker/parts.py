"""The jobs that a worker does: a closed list, each by the function that its command runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

from lib_copier.errors import InputError

PARTS = {
    "train": ("lib_copier.train.__main__", "main"),
    "generate": ("lib_copier.generate.__main__", "main"),
    "measure": ("lib_copier.measure.__main__", "main"),
    "lora": ("lib_copier.lora.__main__", "as_child"),
    "image": ("lib_copier.image.__main__", "main"),
    "caption": ("lib_copier.caption.__main__", "main"),
}
SHARE_KEPT = 0.25
"""Of a device's memory, for models that the next job may need: a job alone may need the rest."""
PRINTS_KEPT = 1 << 26
"""Bytes of pictures that the next job may ask for again; few, so they stay when memory is given back."""
_WITH_MODELS = frozenset({"train", "generate", "measure"})


def part_named(name: str) -> Callable[[Sequence[str]], int]:
    """What does a part's jobs: takes its arguments, gives an exit code.

    Raises
    ------
    InputError
        There is no such part.
    """
    if name not in PARTS:
        raise InputError(f"A worker does no {name[:40]!r}.", f"It does {', '.join(PARTS)}.")
    module, function = PARTS[name]
    if name in _WITH_MODELS:
        # Before the job begins: what importing leaves behind belongs to the process, not to the job.
        from lib_copier.generate.prints import PRINTS
        from lib_copier.models.kept import KEPT

        KEPT.keep(SHARE_KEPT)
        PRINTS.keep(PRINTS_KEPT)
    found: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), function)
    return found
