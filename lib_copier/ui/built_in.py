"""Whether the built-in engine can run: its own environment beside the extension, or packages at hand."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from lib_copier.engines.locate import PYTHON_VARIABLE, own_python
from lib_copier.environment.start import environment_folder

NEEDED = ("diffusers", "transformers")
"""Packages that no WebUI of the AUTOMATIC1111 kind brings in the versions we need."""
SETUP_ARGUMENTS = ("run.py", "setup")
"""For the queue: makes the environment, with the torch that is there."""


def is_ready() -> bool:
    """Whether children would find their packages; looks at the disk only, imports nothing."""
    if os.environ.get(PYTHON_VARIABLE):
        return True
    if own_python().exists():
        return all(_is_in(environment_folder(), name) for name in NEEDED)
    return all(find_spec(name) is not None for name in ("torch", *NEEDED))


def _is_in(environment: Path, package: str) -> bool:
    found = (
        *environment.glob(f"lib/python*/site-packages/{package}"),
        environment / "Lib/site-packages" / package,
    )
    return any((path / "__init__.py").is_file() for path in found)
