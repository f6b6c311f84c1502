"""Shows an interpreter no more of borrowed folders than it needs; its text is copied into an environment.

Standard library alone, and nothing of this package: it runs at every start of that environment's Python.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Shown:
    """Finds of a folder's packages the named ones only."""

    def __init__(self, finder: Any, names: Collection[str]) -> None:
        self._finder = finder
        self._names = names

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of a top-level module; None where it is not shown."""
        found: ModuleSpec | None = self._finder.find_spec(name, target) if name in self._names else None
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def show(folders: Collection[str], names: Collection[str]) -> None:
    """Let imports find these top-level modules of the folders, and nothing else there."""
    # As they are now: a start that comes through here twice must not ask itself.
    others = tuple(sys.path_hooks)

    def finder_of(path: str) -> Shown:
        if path not in folders:
            raise ImportError(path)
        for hook in others:
            try:
                return Shown(hook(path), names)
            except ImportError:
                continue
        raise ImportError(path)

    sys.path_hooks.insert(0, finder_of)
    for folder in folders:
        sys.path_importer_cache.pop(folder, None)
