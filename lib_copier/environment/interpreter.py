"""An environment's own interpreter: looked at, and made anew where it does not start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_copier.child import run_logged, start_options
from lib_copier.disk import parse_json
from lib_copier.environment.report import Report
from lib_copier.environment.stamp import python_of
from lib_copier.errors import ChildError, CopierError

NEWEST_TRIED = (3, 13)


@dataclass(frozen=True)
class Inside:
    """What an environment's interpreter says of itself."""

    python: Path
    version: str
    site_packages: Path
    has_pip: bool


def look_inside(folder: Path) -> Inside | None:
    """Ask the environment's interpreter; None where it does not start."""
    python = python_of(folder)
    question = (
        "import importlib.util,json,platform,sysconfig;"
        "print(json.dumps([platform.python_version(),sysconfig.get_path('purelib'),"
        "importlib.util.find_spec('pip') is not None]))"
    )
    argv = [str(python), "-I", "-c", question]
    try:
        answer = subprocess.run(
            argv, capture_output=True, timeout=60, check=True, encoding="utf-8", **start_options()
        )
        version, site_packages, has_pip = parse_json(answer.stdout, "the answer of Python")
    except (OSError, ValueError, CopierError, subprocess.SubprocessError):
        return None
    return Inside(python, version, Path(site_packages), has_pip)


def ensure_interpreter(folder: Path, python: Path, log: Path, report: Report) -> Inside:
    """The environment's interpreter with pip; `python` makes it where there is none that starts.

    Raises
    ------
    CopierError
        It cannot be made: a Python without venv or ensurepip, a folder that cannot be written.
    """
    inside = look_inside(folder)
    if inside is None:
        if sys.version_info[:2] > NEWEST_TRIED and python == Path(sys.executable):
            report.say("This Python is newer than 3.13, the newest that the packages were tried with.")
        is_broken = folder.exists()
        report.say(f"{'Making anew' if is_broken else 'Making'} the environment {folder} (log: {log})")
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear = ("--clear",) if is_broken else ()
        _run((str(python), "-m", "venv", *clear, str(folder)), folder, log)
        inside = look_inside(folder)
    elif not inside.has_pip:
        report.say("The environment was left half made; mending it.")
        _run((str(inside.python), "-m", "ensurepip"), folder, log)
        inside = look_inside(folder)
    if inside is None or not inside.has_pip:
        raise CopierError(
            f"The environment {folder} does not start.", f"Delete it and try again; log: {log}."
        )
    return inside


def _run(argv: Sequence[str], folder: Path, log: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    returncode, lines = run_logged(argv, log, env=environ)
    if returncode == 0:
        return
    if any("ensurepip" in line or "No module named venv" in line for line in lines):
        what = f"This Python ({argv[0]}) lacks venv or ensurepip."
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        advice = f"Install them (Debian, Ubuntu: apt install {package}) or start with another Python."
    else:
        what = f"The environment {folder} cannot be made: {lines[-1] if lines else 'no reason given'}."
        advice = f"Log: {log}."
    raise ChildError(what, advice, argv=argv, returncode=returncode, last_lines=lines[-5:])
