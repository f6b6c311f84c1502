"""Sets the sd-scripts engine up on request: its scripts, and an environment of its own for its packages."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lib_copier.border.child import run_logged
from lib_copier.engines import vendor
from lib_copier.engines.sd_scripts.checkout import MERGE, PYTHON_VARIABLE
from lib_copier.engines.state import GROUP, EngineState, Places, engine_state, requirements_of
from lib_copier.engines.vision import ensure_torchvision
from lib_copier.environment.interpreter import Inside, look_inside
from lib_copier.environment.layer import running_host_paths
from lib_copier.environment.make import Wanted, make_environment
from lib_copier.environment.report import Report
from lib_copier.environment.torch_build import look_at_machine
from lib_copier.errors import ChildError, CopierError, InputError
from lib_copier.files.disk import write_text
from lib_copier.files.lock import locked

_START_SECONDS = 300.0
"""A first start compiles thousands of files, on a slow disk too."""


def install(
    places: Places,
    report: Report,
    *,
    folder: Path | None = None,
    is_light: bool = False,
    wheels: Path | None = None,
) -> EngineState:
    """Fetch sd-scripts, or take the checkout the user has, and make its environment.

    The environment borrows the torch of the Python that runs this. With `is_light` only the scripts are
    fetched. Interrupted anywhere, the next call goes on.

    Raises
    ------
    CopierError
        What is in the way; the state says the same afterwards.
    """
    if folder is not None and vendor.missing_scripts(folder):
        absent = ", ".join(vendor.missing_scripts(folder))
        raise InputError(
            f"{folder} is no checkout of sd-scripts: it lacks {absent}.", "Name its root folder."
        )
    with locked(places.lock, lambda: report.say("The engine is being set up by another process; waiting …")):
        if folder is not None:
            places.write_record(folder=str(folder.absolute()))
        try:
            _install(places, report, is_light=is_light, wheels=wheels)
        except CopierError as error:
            places.write_record(doing="", failed=str(error))
            raise
        places.write_record(doing="", failed="")
    return engine_state(places)


def _install(places: Places, report: Report, *, is_light: bool, wheels: Path | None) -> None:
    folder = places.folder()
    if folder == places.vendored:
        places.write_record(doing=f"Fetching sd-scripts {vendor.TAG}", failed="")
        report.say(f"sd-scripts {vendor.TAG}: {folder}")
        vendor.fetch(folder, places.log)
    if is_light or os.environ.get(PYTHON_VARIABLE):
        return
    places.write_record(doing="Installing the packages that sd-scripts pins", failed="")
    wanted = Wanted(
        places.environment,
        {GROUP: requirements_of(folder)},
        wheels=wheels,
        log_path=places.log,
        source=f'-r "{folder / "requirements.txt"}"',
        host_site_packages=running_host_paths(),
        skipped=frozenset() if look_at_machine().nvidia else frozenset({"bitsandbytes"}),
    )
    make_environment(wanted, report)
    inside = look_inside(places.environment)
    assert inside is not None
    # What `pip install -e .` would do: its scripts import the package beside them.
    write_text(inside.site_packages / "sd_scripts.pth", f"{folder}\n")
    places.write_record(doing="Checking torchvision")
    ensure_torchvision(inside, wanted, report)
    places.write_record(doing="Starting a script for the first time")
    check_start(inside, folder, places.log)


def check_start(inside: Inside, folder: Path, log: Path) -> None:
    """Start one script as far as its help: packages that install may still not import together.

    Raises
    ------
    ChildError
        With the last line that it said.
    """
    argv = [str(inside.python), str(folder / MERGE), "--help"]
    environ = {**os.environ, "PYTHONPATH": str(folder), "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}
    advice = f"Log: {log}. If a package of it is broken, `python run.py engine remove` and install again."
    try:
        returncode, said = run_logged(argv, log, env=environ, cwd=folder, timeout=_START_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ChildError(
            f"A script of sd-scripts did not start within {error.timeout:.0f} s.", advice, argv=argv
        ) from None
    if returncode != 0:
        reason = said[-1].rstrip(". ") if said else f"exit code {returncode}"
        raise ChildError(
            f"sd-scripts is installed but does not start: {reason}.",
            advice,
            argv=argv,
            returncode=returncode,
            last_lines=said[-10:],
        )


def remove(places: Places, report: Report) -> None:
    """Delete what install made; a checkout that the user named stays."""
    with locked(places.lock, lambda: report.say("The engine is being set up; waiting for that to end …")):
        vendor.delete_tree(places.environment)
        vendor.delete_tree(places.vendored)
        vendor.delete_tree(places.vendor / "sd-scripts.part")
        for path in (places.record, places.log):
            path.unlink(missing_ok=True)
