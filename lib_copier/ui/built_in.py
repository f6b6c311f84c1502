"""Whether the built-in engine can run: its own environment beside the extension, or packages at hand."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from lib_copier.engines.locate import PYTHON_VARIABLE, own_python
from lib_copier.environment.pins import package_name, read_pins, unmet
from lib_copier.environment.stamp import is_current
from lib_copier.environment.start import environment_folder

NEEDED = ("diffusers", "transformers")
"""Packages whose versions tell our environment from a WebUI's: Forge brings both, but older ones."""
_GROUP = "base"
SETUP_ARGUMENTS = ("run.py", "setup")
"""For the queue: makes the environment, with the torch that is there."""


def is_ready() -> bool:
    """Whether children would find their packages; looks at the disk only, imports nothing."""
    if os.environ.get(PYTHON_VARIABLE):
        return True
    pins = read_pins(_GROUP)
    if own_python().exists():
        return is_current(environment_folder(), {_GROUP: pins})
    wanted = [line for line in pins if package_name(line) in NEEDED]
    return find_spec("torch") is not None and not unmet(wanted, _versions())


def _versions() -> dict[str, str]:
    """The versions of the needed packages that this Python has."""
    found = {}
    for name in NEEDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
