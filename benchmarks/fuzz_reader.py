"""One reader under the fuzzer: its sound inputs, how they are changed, and what reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.fuzz_changes import Change, scratches


@dataclass(frozen=True)
class Reader:
    """Sound inputs, how they are changed, and what reads them; raises what the reader raises."""

    name: str
    sound: Sequence[bytes]
    changes: Sequence[Change]
    read: Callable[[bytes], object]

    def input(self, seed: int, number: int) -> bytes:
        """The input of that number: the sound ones first, then changed ones."""
        if number < len(self.sound):
            return self.sound[number]
        random = Random(f"{seed}/{self.name}/{number}")
        found = random.choice(self.sound)
        for _ in range(random.choice((1, 1, 1, 2))):
            try:
                found = random.choice(self.changes)(found, random)
            except Exception:
                # A change that needs a sound input got one that an earlier change broke.
                found = scratches(found, random)
        return found


def write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def written(folder: Path, name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """`read` of a file with the input as its content."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name

    def write_and_read(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return write_and_read
