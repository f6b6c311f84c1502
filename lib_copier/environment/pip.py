"""Runs pip in an environment, shows what it does in few words, and says why it failed."""

from __future__ import annotations

import os
import re
import subprocess
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from lib_copier.border.child import heard_options
from lib_copier.environment.report import Report

_NETWORK = re.compile(
    r"name resolution|NameResolutionError|NewConnectionError|getaddrinfo|Connection refused|"
    r"ConnectTimeout|ReadTimeout|timed out|ProxyError|SSLError|Network is unreachable|Max retries exceeded",
    re.IGNORECASE,
)
_ABSENT = re.compile(r"No matching distribution found for (\S+)")
_FULL = re.compile(r"No space left on device|Errno 28")
_COLLECTING = re.compile(r"Collecting ([A-Za-z0-9._-]+)")
_DOWNLOADING = re.compile(r"Downloading (\S+?)-(\d[^-\s]*)\S* \(([\d.]+ [kMG]?B)\)")


FULL, UNREACHABLE, ABSENT = "full", "unreachable", "absent"
"""Why pip fails, as far as a person can do something about it."""
_REASONS = {FULL: "the disk is full", UNREACHABLE: "the package index cannot be reached"}


def cause_of(lines: Iterable[str]) -> str:
    """Why a run of pip failed, from its output: one of the three above; empty for anything else."""
    text = "\n".join(lines)
    signs = ((FULL, _FULL), (UNREACHABLE, _NETWORK), (ABSENT, _ABSENT))
    return next((cause for cause, sign in signs if sign.search(text)), "")


class PipResult(NamedTuple):
    """How a pip run ended."""

    returncode: int
    lines: tuple[str, ...]
    """The last lines of its output."""

    @property
    def has_failed(self) -> bool:
        return self.returncode != 0

    @property
    def reason(self) -> str:
        """Why it failed, in a few words."""
        cause = cause_of(self.lines)
        absent = _ABSENT.search("\n".join(self.lines))
        if cause == ABSENT and absent:
            return f"no index or folder that pip looks in has {absent[1]} for this Python"
        if cause in _REASONS:
            return _REASONS[cause]
        errors = [line for line in self.lines if line.lower().startswith("error")]
        return (errors or list(self.lines) or ["pip gave no reason"])[-1].strip()


def run_pip(python: Path, arguments: Sequence[str], *, log: Path, report: Report) -> PipResult:
    """Run ``python -m pip ARGUMENTS``; all of its output goes to the log, a digest of it to the report."""
    argv = [str(python), "-m", "pip", *arguments]
    environ = {**os.environ, "PYTHONUTF8": "1", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # Paths of another program's packages would count as installed here.
    for name in (
        "PYTHONPATH",
        "PYTHONHOME",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_USER",
        "PIP_REQUIRE_VIRTUALENV",
    ):
        environ.pop(name, None)
    last: deque[str] = deque(maxlen=60)
    with log.open("a", encoding="utf-8") as file, report.alive():
        file.write(f"\n$ {subprocess.list2cmdline(argv)}\n")
        child = subprocess.Popen(argv, env=environ, **heard_options())
        assert child.stdout is not None
        try:
            for line in child.stdout:
                file.write(line)
                last.append(line.rstrip())
                shown = digest(line)
                if shown:
                    report.doing(shown)
        except BaseException:
            child.terminate()
            raise
        finally:
            child.stdout.close()
            returncode = child.wait()
    return PipResult(returncode, tuple(last))


def digest(line: str) -> str:
    """A line of pip's output in a few words; empty where it tells a person nothing."""
    line = line.strip()
    downloading = _DOWNLOADING.match(line)
    if downloading:
        return f"downloading {downloading[1]} {downloading[2]} ({downloading[3]})"
    collecting = _COLLECTING.match(line)
    if collecting:
        return f"looking for {collecting[1]}"
    installing = line.removeprefix("Installing collected packages: ")
    if installing != line:
        names = installing.split(", ")
        return f"installing {names[0] if len(names) == 1 else f'{len(names)} packages'}"
    if line.startswith("WARNING: Retrying"):
        return "the package index does not answer; trying again"
    return ""
