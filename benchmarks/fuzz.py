"""`run.py bench fuzz`: every reader under mutated input, in children with a limit of time and memory.

An input is a function of the seed, the reader's name and a number. A fault is an exception that is none of
ours, more than two seconds of work, or a child's death; each kind is told once, with the input that shows it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.measured import ROOT
from lib_copier import edge

SECONDS = 2.0
"""What one input may cost: seconds of processor time; of the clock, `CLOCK` times as many."""
CLOCK = 15.0
MEMORY_MIB = 1024
START_SECONDS = 300.0
"""What the first input of a reader may take on the clock: its libraries are loaded, its sound inputs made."""


@dataclass
class Found:
    """What became of all inputs."""

    inputs: int = 0
    refused: int = 0
    """With an error of ours; the others were read."""
    kinds: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By kind: how often, and the reader, number and message of the first."""
    hangs: int = 0
    peak_mib: float = 0.0
    seconds: float = 0.0
    slowest: dict[str, float] = field(default_factory=dict)
    """The slowest input of each reader, in seconds of processor time."""

    @property
    def foreign(self) -> int:
        """Inputs that ended in an exception of none of our classes, or killed the child."""
        return sum(int(kind["count"]) for kind in self.kinds.values())

    @property
    def is_clean(self) -> bool:
        return not self.kinds and not self.hangs and self.peak_mib < MEMORY_MIB

    def note(self, reader: str, number: int, answer: dict[str, Any]) -> bool:
        """Count one answer of a child; whether it shows a kind of fault for the first time."""
        self.inputs += 1
        self.refused += answer["outcome"] == "refused"
        self.peak_mib = max(self.peak_mib, answer.get("peak_mib", 0.0))
        spent = float(answer.get("seconds", 0.0))
        self.slowest[reader] = max(self.slowest.get(reader, 0.0), spent)
        kind = answer.get("kind")
        if spent > SECONDS or answer["outcome"] == "hang":
            self.hangs += 1
            kind = kind or f"{reader}: takes longer than {SECONDS:g} s"
        if kind is None:
            return False
        is_new = kind not in self.kinds
        first = {"count": 0, "reader": reader, "number": number, "what": answer.get("what", "")}
        self.kinds.setdefault(kind, first)["count"] += 1
        return is_new


class Child:
    """A process that reads inputs on demand; it is replaced when it dies or hangs."""

    def __init__(self, seed: int) -> None:
        self._argv = [sys.executable, "-m", "benchmarks.fuzz_child", str(seed)]
        self._process: subprocess.Popen[str] | None = None
        self._known: set[str] = set()

    def ask(self, reader: str, number: int) -> dict[str, Any]:
        """The child's answer; ``outcome`` is ``read``, ``refused``, ``foreign``, ``hang`` or ``died``."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{json.dumps([reader, number])}\n")
            process.stdin.flush()
        line = self._line(process.stdout, SECONDS * CLOCK if reader in self._known else START_SECONDS)
        self._known.add(reader)
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        has_died = line == ""
        self.end()
        if has_died:
            return {"outcome": "died", "kind": f"{reader}: the process died ({process.returncode})"}
        return {"outcome": "hang", "kind": f"{reader}: takes longer than {SECONDS:g} s", "seconds": SECONDS}

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    pipe and pipe.close()
        self._process = None

    def _start(self) -> subprocess.Popen[str]:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            self._argv,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._known.clear()
        return self._process

    @staticmethod
    def _line(stream: IO[str], seconds: float) -> str | None:
        """The next line; empty at the stream's end, None where none came in time."""
        ready, _, _ = select.select([stream], [], [], seconds)
        return stream.readline() if ready else None


def fuzz(inputs: int, *, seed: int = 0, only: Sequence[str] = (), seconds: float | None = None) -> Found:
    """Put `inputs` mutated inputs to the readers in turn, for at most `seconds`."""
    from benchmarks.fuzz_readers import WEIGHTS

    found, began, child = Found(), time.monotonic(), Child(seed)
    try:
        for reader, number in _plan({name: WEIGHTS[name] for name in only or WEIGHTS}, inputs):
            if seconds is not None and time.monotonic() - began > seconds:
                break
            if found.note(reader, number, child.ask(reader, number)):
                print(f"  {reader} {number}: {list(found.kinds)[-1]}", file=sys.stderr, flush=True)
    finally:
        child.end()
    found.seconds = round(time.monotonic() - began, 1)
    return found


def _plan(weights: dict[str, int], inputs: int) -> Iterator[tuple[str, int]]:
    """Reader and number of every input, the readers mixed by their weights."""
    numbers: Counter[str] = Counter()
    order = [name for name, weight in weights.items() for _ in range(weight)]
    for at in range(inputs):
        name = order[at % len(order)]
        yield name, numbers[name]
        numbers[name] += 1


def write_reproducers(found: Found, folder: Path, seed: int) -> None:
    """One input a kind of fault, as files named by reader and number, with the traceback beside."""
    from benchmarks.fuzz_readers import READERS

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for kind, first in found.kinds.items():
            reader = READERS[first["reader"]](Path(scratch))
            stem = folder / f"{first['reader'].replace(' ', '-')}-{first['number']}"
            stem.with_suffix(".input").write_bytes(reader.input(seed, first["number"]))
            stem.with_suffix(".txt").write_text(f"{kind}\n\n{first['what']}\n", "utf-8", "backslashreplace")


def main(argv: Sequence[str]) -> int:
    """Fuzz and tell; 1 where anything was found."""
    from benchmarks.fuzz_readers import WEIGHTS

    parser = argparse.ArgumentParser(prog="run.py bench fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=25_000, help="how many (default %(default)s)")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other inputs")
    parser.add_argument("--reader", action="append", default=[], choices=tuple(WEIGHTS), help="only these")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where an input of each kind goes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    arguments = parser.parse_args(argv)
    found = fuzz(arguments.inputs, seed=arguments.seed, only=arguments.reader, seconds=arguments.seconds)
    print(
        f"{found.inputs} inputs over {len(found.slowest)} readers in {found.seconds:.0f} s: "
        f"{found.refused} refused, {found.foreign} exceptions of {len(found.kinds)} kinds that are not ours, "
        f"{found.hangs} over {SECONDS:g} s, peak {found.peak_mib:.0f} MiB"
    )
    for kind, first in found.kinds.items():
        print(f"  {first['count']:>5} x {kind} ({first['reader']} {first['number']})")
    if arguments.json:
        figures = asdict(found) | {"foreign": found.foreign, "seed": arguments.seed}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if arguments.keep:
        write_reproducers(found, arguments.keep, arguments.seed)
    return 0 if found.is_clean else 1


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:]))
