"""An environment's own interpreter: looked at, and made anew where it does not start."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_copier.border.child import run_logged, start_options
from lib_copier.environment.report import Report
from lib_copier.environment.stamp import minor, python_of
from lib_copier.errors import ChildError, CopierError
from lib_copier.files.disk import parse_json
from lib_copier.files.names import require_room

_TRIED = ("3.13", "3.12", "3.11", "3.10")
"""Versions that the packages were tried with, the newest first."""
_LONGEST_INSIDE = 195
"""Characters of a path within an environment: those of torch's licences."""


@dataclass(frozen=True)
class Inside:
    """What an interpreter says of itself."""

    python: Path
    version: str
    site_packages: Path
    has_pip: bool
    has_venv: bool

    @property
    def is_fit(self) -> bool:
        """Whether it can make an environment that the packages were tried with."""
        return self.has_venv and minor(self.version) in _TRIED


def look_inside(folder: Path) -> Inside | None:
    """Ask an environment's interpreter; None where it does not start."""
    return ask(str(python_of(folder)))


def found_pythons() -> tuple[Inside, ...]:
    """The Pythons of this machine that can make an environment, the newest first, one a version."""
    by_version: dict[str, Inside] = {}
    for argv in _possible():
        found = ask(*argv)
        if found is not None and found.is_fit:
            by_version.setdefault(minor(found.version), found)
    return tuple(by_version[version] for version in _TRIED if version in by_version)


def _possible() -> Iterator[tuple[str, ...]]:
    """Command lines that may start a Python: Windows' launcher knows those that are on no path."""
    launcher = shutil.which("py") if sys.platform == "win32" else None
    for version in _TRIED:
        program = shutil.which(f"python{version}")
        yield from ((program,),) if program else ((launcher, f"-{version}"),) if launcher else ()
    yield from ((program,) for name in ("python3", "python") if (program := shutil.which(name)))


def ask(*argv: str) -> Inside | None:
    """Ask an interpreter, named by a command line; None where it does not start."""
    question = (
        "import importlib.util,json,platform,sys,sysconfig;"
        "has=lambda name:importlib.util.find_spec(name) is not None;"
        "print(json.dumps([sys.executable,platform.python_version(),sysconfig.get_path('purelib'),"
        "has('pip'),has('venv') and has('ensurepip')]))"
    )
    try:
        answer = subprocess.run(
            [*argv, "-I", "-c", question],
            capture_output=True,
            timeout=60,
            check=True,
            encoding="utf-8",
            **start_options(),
        )
        python, version, site_packages, *has = parse_json(answer.stdout, "the answer of Python")
    except (OSError, ValueError, CopierError, subprocess.SubprocessError):
        return None
    return Inside(Path(python), version, Path(site_packages), *has)


def ensure_interpreter(folder: Path, python: Path, log: Path, report: Report, version: str = "") -> Inside:
    """The environment's interpreter with pip; `python` makes it where there is none that starts.

    With `version`, such as ``3.11``, an environment of another version is made anew.

    Raises
    ------
    CopierError
        It cannot be made: a Python without venv or ensurepip, a folder that cannot be written.
    """
    inside = look_inside(folder)
    if inside is not None and version and minor(inside.version) != version:
        report.say(f"The environment is one of Python {inside.version}; {version} is asked for.")
        inside = None
    if inside is None:
        if minor(platform.python_version()) not in _TRIED and python == Path(sys.executable):
            report.say(f"This Python is newer than {_TRIED[0]}, the newest that was tried.")
        is_broken = folder.exists()
        report.say(f"{'Making anew' if is_broken else 'Making'} the environment {folder} (log: {log})")
        require_room(folder, _LONGEST_INSIDE, "environment")
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
        package = f"python{minor(platform.python_version())}-venv"
        advice = f"Install them (Debian, Ubuntu: apt install {package}) or start with another Python."
    else:
        what = f"The environment {folder} cannot be made: {lines[-1] if lines else 'no reason given'}."
        advice = f"Log: {log}."
    raise ChildError(what, advice, argv=argv, returncode=returncode, last_lines=lines[-5:])
