"""torchvision for sd-scripts, which imports it without naming it; its build must match torch's."""

from __future__ import annotations

import re
import subprocess

from lib_copier.border.child import start_options
from lib_copier.environment.interpreter import Inside
from lib_copier.environment.layer import find_host
from lib_copier.environment.make import Wanted
from lib_copier.environment.pip import run_pip
from lib_copier.environment.report import Report
from lib_copier.environment.torch_build import PYTORCH_INDEX
from lib_copier.errors import CopierError


def ensure_torchvision(inside: Inside, wanted: Wanted, report: Report) -> None:
    """See that torchvision imports in the environment; where it is missing, try to add the matching build.

    Raises
    ------
    CopierError
        There is none for this torch within reach.
    """
    if does_import(inside):
        return
    torch = find_host(wanted.host_site_packages).versions["torch"]
    report.say(f"torchvision is missing beside torch {torch}; looking for the matching build")
    for arguments in attempts(torch):
        links = ("--find-links", str(wanted.wheels)) if wanted.wheels else ()
        result = run_pip(
            inside.python, ("install", "--retries", "2", *links, *arguments), log=wanted.log, report=report
        )
        if not result.has_failed and does_import(inside):
            return
        # A build for another torch imports with an error, or worse, without one and computes on nothing.
        run_pip(inside.python, ("uninstall", "--yes", "torchvision"), log=wanted.log, report=report)
    raise CopierError(
        f"sd-scripts needs torchvision, and no build that matches torch {torch} is within reach.",
        f"Put a wheel of {matching_release(torch)} for this torch in a folder and run "
        "`python run.py engine install --wheels FOLDER`, or install it beside that torch.",
    )


def does_import(inside: Inside) -> bool:
    """Whether the environment's interpreter imports what sd-scripts imports of it."""
    argv = [str(inside.python), "-c", "from torchvision import transforms"]
    return subprocess.run(argv, capture_output=True, check=False, **start_options()).returncode == 0


def matching_release(torch: str) -> str:
    """The requirement that goes with a torch version: 2.13.x goes with 0.28.x, and so in step."""
    found = re.match(r"2\.(\d+)", torch)
    return f"torchvision==0.{int(found[1]) + 15}.*" if found else "torchvision"


def attempts(torch: str) -> tuple[tuple[str, ...], ...]:
    """pip arguments to try in order; never anything that would replace torch."""
    release, build = matching_release(torch), torch.partition("+")[2]
    anywhere = (release, "--no-deps")
    local = (release, "--no-deps", "--no-index")
    if not build:
        return (anywhere,)
    return local, (release, "--no-deps", "--index-url", f"{PYTORCH_INDEX}/{build}")
