"""Running whole commands and measuring them: wall time and peak memory, process start included."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lib_copier.errors import ChildError
from lib_copier.lora.parallel import THREAD_VARIABLES

ROOT = Path(__file__).parents[1]
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Measured:
    """One command's cost: seconds from start to end, peak memory in MiB (None where not known)."""

    task: str
    who: str
    seconds: float
    peak_mib: float | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    output: str = field(default="", repr=False)
    """What it printed; not part of the figures."""

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        del found["output"]
        return found


def ours(*arguments: object) -> list[str]:
    """The command line of one of our own commands."""
    return [sys.executable, "-m", "lib_copier", *map(str, arguments)]


def measure(task: str, who: str, argv: Sequence[object], *, cwd: Path = ROOT, **facts: Any) -> Measured:
    """Run a command to its end.

    Raises
    ------
    ChildError
        Where it fails.
    """
    words = [str(word) for word in argv]
    # As a user starts them: without the thread limit that this process gave itself. sd-scripts'
    # scripts find their packages from the checkout only.
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    environment["PYTHONPATH"] = str(cwd)
    flush_disks()
    started = time.perf_counter()
    with subprocess.Popen(
        words, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        output = child.stdout.read() if child.stdout else ""
        peak = None
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            # Linux counts KiB, macOS bytes.
            peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)
        else:
            child.wait()
    seconds = time.perf_counter() - started
    if child.returncode:
        raise ChildError(
            f"{who} failed at {task}.",
            "See its last lines.",
            argv=words,
            returncode=child.returncode,
            last_lines=output.splitlines()[-20:],
        )
    return Measured(task, who, seconds, peak, facts, output)


def flush_disks() -> float:
    """Wait until nothing written before is on its way to the disk; the seconds that took.

    What was left over from one command would be paid for by the next.
    """
    started = time.perf_counter()
    if hasattr(os, "sync"):
        os.sync()
    return time.perf_counter() - started


def table(rows: Sequence[Measured]) -> list[str]:
    """A line for each command, with its time as a multiple of ours."""
    base = {row.task: row.seconds for row in reversed(rows) if row.who == "ours"}
    lines = [f"{'task':<34}{'who':<12}{'seconds':>9}{'x ours':>8}{'peak MiB':>10}  notes"]
    for row in rows:
        ratio = row.seconds / base[row.task] if row.task in base else float("nan")
        peak = "-" if row.peak_mib is None else f"{row.peak_mib:.0f}"
        notes = ", ".join(
            f"{name} {value:.4g}" for name, value in row.facts.items() if isinstance(value, float)
        )
        lines.append(f"{row.task:<34}{row.who:<12}{row.seconds:>9.2f}{ratio:>8.1f}{peak:>10}  {notes}")
    return lines


class PeakMemory:
    """The most that the children of this process hold together, looked at a few times a second."""

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            held = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    held += child.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, held)
