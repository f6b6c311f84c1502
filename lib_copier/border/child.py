"""How a child process is started: without a window, and where wanted leading a group or listened to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CREATE_NEW_PROCESS_GROUP = 0x00000200
CREATE_NO_WINDOW = 0x08000000
"""Windows' flags by value: `subprocess` names them there alone."""


def start_options(*, own_group: bool = False) -> dict[str, Any]:
    """Keyword arguments for `subprocess.Popen` and `run`.

    Windows opens a console for a console program whose parent has none, as a WebUI's worker. With
    `own_group`, Ctrl-C in the terminal reaches the parent alone, which then ends the whole tree.
    """
    if sys.platform == "win32":
        return {"creationflags": CREATE_NO_WINDOW | (CREATE_NEW_PROCESS_GROUP if own_group else 0)}
    return {"start_new_session": True} if own_group else {}


def heard_options() -> dict[str, Any]:
    """Keyword arguments for a child without input, whose output and errors are read together as text."""
    return {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "encoding": "utf-8",
        "errors": "replace",
        **start_options(),
    }


def run_logged(
    argv: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    timeout: float | None = None,
) -> tuple[int, list[str]]:
    """Run a short command to its end: its exit code and the lines that it said, which the log keeps too.

    Raises
    ------
    subprocess.TimeoutExpired
        Where it takes longer than `timeout` seconds; it is ended.
    """
    ended = subprocess.run(argv, cwd=cwd, env=env, timeout=timeout, check=False, **heard_options())
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n$ {subprocess.list2cmdline(argv)}\n{ended.stdout}")
    return ended.returncode, [line.strip() for line in ended.stdout.splitlines() if line.strip()]
