"""Groups of packages that few need: installed into our environment when something first asks for them."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from lib_copier.environment.pins import installed_versions, read_pins, unmet
from lib_copier.errors import InputError


def ensure_group(name: str, purpose: str) -> None:
    """See to it that the packages of requirements/NAME.txt can be imported from here on.

    Raises
    ------
    InputError
        Where they are missing from an environment that is not ours to change: `purpose` needs them.
    CopierError
        Where they cannot be installed, and how to provide them.
    """
    lines = read_pins(name)
    missing = unmet(lines, installed_versions(map(Path, sys.path)))
    if not missing:
        return
    # Here, not above: the packages are there nearly always.
    from lib_copier.environment.layer import borrowed_paths
    from lib_copier.environment.make import Wanted, make_environment
    from lib_copier.environment.report import Report
    from lib_copier.environment.stamp import read_stamp
    from lib_copier.environment.start import WHEELS, environment_folder

    folder = environment_folder()
    stamp = read_stamp(folder)
    if stamp is None or Path(sys.prefix).resolve() != folder.resolve():
        raise InputError(
            f"{purpose} needs {', '.join(missing)}, which this Python ({sys.prefix}) has not.",
            f"Install it: python -m pip install {' '.join(missing)}",
        )
    wheels = Path(os.environ[WHEELS]) if os.environ.get(WHEELS) else None
    groups = {**stamp.groups, name: lines}
    wanted = Wanted(folder, groups, wheels=wheels, host_site_packages=borrowed_paths(folder))
    make_environment(wanted, Report())
    importlib.invalidate_caches()
