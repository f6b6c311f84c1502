"""Freed memory is kept: the next array of the size costs no page faults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAULTS = """
import resource
from lib_copier.models.heap import keep_heap
{keep}
held = bytearray(1 << 16)
def again():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        pair = [bytearray(b"x") * (8 << 20), bytearray(b"y") * (8 << 20)]
        del pair
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
again()
print(again())
"""


def faults(keep: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", FAULTS.format(keep=keep)], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries have no such switch")
def test_memory_that_was_freed_is_taken_again() -> None:
    assert faults("keep_heap()") < 100 < faults("")
