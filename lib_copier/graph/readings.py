"""Digests of large files computed by threads: a look at a project never waits for a checkpoint to be read.

What a program around us says of a file's hash is not taken: such a memory may be older than the file.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from lib_copier.graph.digest import chunks_of

LARGE = 64 << 20
"""Bytes from which on a file is read by a thread: half a second of a slow disk."""


@dataclass
class _Reading:
    """One file under way or read."""

    path: Path
    size: int
    read: int = 0
    digest: str = ""
    error: OSError | None = None


class Readings:
    """The large files that this process reads or has read, each once while it stays as it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[tuple[str, int, int, int, int], _Reading] = {}

    def sha256(self, path: Path) -> str | None:
        """The file's digest; None while it is being read, which the first call begins.

        Raises
        ------
        OSError
            Where the file cannot be read; the next call tries again.
        """
        state = path.stat()
        key = (str(path), state.st_size, state.st_mtime_ns, state.st_ino, state.st_ctime_ns)
        with self._lock:
            reading = self._readings.get(key)
            if reading is None:
                reading = self._readings[key] = _Reading(path, state.st_size)
                threading.Thread(target=_read, args=(reading,), name="copier-lora reads", daemon=True).start()
            if reading.error is not None:
                raise self._readings.pop(key).error or OSError
            return reading.digest or None

    def under_way(self) -> dict[Path, float]:
        """The files being read, and the share of each that has been."""
        with self._lock:
            return {
                one.path: one.read / max(one.size, 1)
                for one in self._readings.values()
                if not one.digest and one.error is None
            }


def _read(reading: _Reading) -> None:
    found = hashlib.sha256()
    try:
        for chunk in chunks_of(reading.path):
            found.update(chunk)
            reading.read += len(chunk)
        reading.digest = found.hexdigest()
    except OSError as error:
        reading.error = error
