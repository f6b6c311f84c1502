"""`python -m benchmarks.fuzz_child SEED`: one input a line of stdin, its outcome a line of stdout."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.fuzz_reader import Reader
from benchmarks.fuzz_readers import READERS
from lib_copier.errors import CopierError

ROOM_MIB = 1024
"""How much more than at its start the child may hold: a reader that wants more gets a MemoryError."""


def main() -> None:
    """Answer until stdin ends."""
    seed = int(sys.argv[1])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What readers print must not get among the answers.
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as scratch:
        # What is taken for a relative path leads nowhere.
        (Path(scratch) / "a" / "b" / "c").mkdir(parents=True)
        os.chdir(Path(scratch) / "a" / "b" / "c")
        readers: dict[str, Reader] = {}
        for line in sys.stdin:
            name, number = json.loads(line)
            if name not in readers:
                readers[name] = READERS[name](Path(scratch) / name)
                warm_up(readers[name], seed)
            out.write(json.dumps(outcome(readers[name], seed, number)) + "\n")
            out.flush()


def warm_up(reader: Reader, seed: int) -> None:
    """Let a reader load what it needs, which is none of an input's costs; then limit the memory anew."""
    limit_memory(None)
    outcome(reader, seed, 0)
    limit_memory(ROOM_MIB)


def outcome(reader: Reader, seed: int, number: int) -> dict[str, Any]:
    """What a reader made of an input, with what it cost."""
    given = reader.input(seed, number)
    swallowed = _Swallowed()
    found: dict[str, Any] = {"outcome": "read"}
    began = time.process_time()
    try:
        with swallowed.listening():
            reader.read(given)
    except CopierError:
        found = {"outcome": "refused"}
    except BaseException as error:
        found = _foreign(reader.name, error)
    if swallowed.error is not None:
        found = _foreign(reader.name, swallowed.error)
    return found | {"seconds": round(time.process_time() - began, 3), "peak_mib": peak_mib()}


class _Swallowed(logging.Handler):
    """An exception that a reader logged instead of raising it: the page does so with faults of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.error = record.exc_info[1]

    @contextlib.contextmanager
    def listening(self) -> Any:
        log = logging.getLogger("copier_lora")
        log.addHandler(self)
        try:
            yield
        finally:
            log.removeHandler(self)


def _foreign(name: str, error: BaseException) -> dict[str, Any]:
    """The fault's kind is its class and the line of ours that it came through last."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "lib_copier" in frame.filename]
    place = frames[-1] if frames else None
    where = f"{Path(place.filename).parent.name}/{Path(place.filename).name}:{place.name}" if place else "?"
    what = "".join(traceback.format_exception(error))[-3000:]
    return {"outcome": "foreign", "kind": f"{name}: {type(error).__name__} in {where}", "what": what}


def limit_memory(room_mib: int | None) -> None:
    """Let the process's data grow by so much at most, where the system can say so; None: without a limit."""
    try:
        import resource

        status = Path("/proc/self/status").read_text(encoding="ascii")
    except (ImportError, OSError):
        return
    held = int(re.findall(r"VmData:\s*(\d+) kB", status)[0]) << 10
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = resource.RLIM_INFINITY if room_mib is None else held + (room_mib << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def peak_mib() -> float:
    """The most memory that this process has held, in MiB; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0.0
    status = Path("/proc/self/status")
    if status.is_file():
        # `ru_maxrss` of a child begins at what its parent held.
        return int(re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())[0]) / 1024
    # Linux counts KiB, macOS bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024 if sys.platform != "darwin" else 1 << 20
    )


if __name__ == "__main__":
    main()
