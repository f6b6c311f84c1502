"""Whether the built-in engine can run: its own environment beside the extension, or packages at hand."""

from __future__ import annotations

import os
import platform
import shutil
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from lib_copier.engines.locate import PYTHON_VARIABLE, own_python
from lib_copier.environment.interpreter import Inside, found_pythons
from lib_copier.environment.layer import borrowable, running_host_paths
from lib_copier.environment.make import Wanted
from lib_copier.environment.pins import package_name, read_pins, unmet
from lib_copier.environment.stamp import is_current, minor, read_stamp
from lib_copier.environment.start import environment_folder
from lib_copier.environment.torch_build import GIGABYTES

NEEDED = ("diffusers", "transformers")
"""Packages whose versions tell our environment from a WebUI's: Forge brings both, but older ones."""
_GROUP = "base"


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


def borrowed_torch() -> str:
    """The version of this Python's torch that a set-up takes; empty where it installs one."""
    stamp = read_stamp(environment_folder())
    if stamp is not None and stamp.torch not in ("", "host"):
        return ""
    host = borrowable(running_host_paths())
    return host.versions["torch"] if host else ""


@lru_cache(maxsize=1)
def other_pythons() -> tuple[Inside, ...]:
    """The Pythons of this machine that the environment may be made with, but for this one's version."""
    this = minor(platform.python_version())
    return tuple(one for one in found_pythons() if minor(one.version) != this)


def setup_arguments(wheels: str = "", python: str = "") -> tuple[str, ...]:
    """For the queue: makes the environment, with the torch that is there.

    `python` names another program to make it with, whose packages cannot be this one's.
    """
    chosen = ("--python", python) if python else ("--host-torch",) if borrowed_torch() else ()
    return ("run.py", "setup", *chosen, *(("--wheels", wheels) if wheels else ()))


def environment_wanted() -> Wanted:
    """The environment that a set-up makes."""
    host = running_host_paths() if borrowed_torch() else ()
    return Wanted(environment_folder(), {_GROUP: read_pins(_GROUP)}, host_site_packages=host)


def gigabytes_needed() -> str:
    """What the environment takes on the disk, about."""
    return GIGABYTES["host"] if borrowed_torch() else f"{GIGABYTES['cpu']}–{GIGABYTES['cuda']}"


def gigabytes_free(folder: Path) -> float:
    """Free space on the disk where a folder lies or will lie."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return shutil.disk_usage(there).free / 1e9
