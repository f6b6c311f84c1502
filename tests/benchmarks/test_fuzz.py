"""The fuzzer: its inputs are the same each time, it sees what it looks for, and a short run finds nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from benchmarks.fuzz import SECONDS, Found, fuzz
from benchmarks.fuzz_changes import scratches
from benchmarks.fuzz_child import outcome
from benchmarks.fuzz_reader import Reader
from benchmarks.fuzz_readers import READERS
from lib_copier.errors import CopierError, InputError
from lib_copier.graph.queue import Queue


def reader(read) -> Reader:
    return Reader("stand-in", [b"sound input"], (scratches,), read)


def test_every_reader_reads_its_sound_inputs_and_changes_them_the_same_way_each_time(tmp_path: Path) -> None:
    before = Queue.ensure_worker
    for name, make in READERS.items():
        first, second = make(tmp_path / name), make(tmp_path / name)
        assert first.name == name
        numbers = range(len(first.sound), len(first.sound) + 20)
        changed = [first.input(3, number) for number in numbers]
        assert changed == [second.input(3, number) for number in numbers]
        assert changed != [first.input(4, number) for number in numbers]
        try:
            first.read(first.sound[0])
        except CopierError as error:
            pytest.fail(f"{name}: {error}")
    assert Queue.ensure_worker is before, "queues elsewhere in this process are worked off"


def test_only_errors_of_ours_are_no_faults() -> None:
    def log_and_go_on(_data: bytes) -> None:
        try:
            raise KeyError("swallowed")
        except KeyError:
            logging.getLogger("copier_lora").exception("a panel could not be drawn")

    def refuse(_data: bytes) -> None:
        raise InputError("no")

    assert outcome(reader(bytes.decode), 0, 0)["outcome"] == "read"
    assert outcome(reader(refuse), 0, 0)["outcome"] == "refused"
    for read in (log_and_go_on, lambda data: {}[data]):
        found = outcome(reader(read), 0, 0)
        assert found["outcome"] == "foreign" and found["kind"].startswith("stand-in: KeyError in ")


def test_kinds_are_told_once_and_long_work_is_a_fault() -> None:
    found = Found()
    foreign = {"outcome": "foreign", "kind": "a: KeyError in b", "what": "…"}
    assert [found.note("a", number, foreign) for number in (4, 5)] == [True, False]
    assert found.kinds["a: KeyError in b"]["count"] == found.foreign == 2
    assert found.kinds["a: KeyError in b"]["number"] == 4
    slow = Found()
    assert slow.is_clean
    assert slow.note("a", 0, {"outcome": "read", "seconds": SECONDS + 0.1}) and slow.hangs == 1
    assert not slow.is_clean


@pytest.mark.slow
def test_a_short_run_finds_nothing() -> None:
    found = fuzz(600)
    assert found.inputs == 600 and found.refused > 100
    assert found.is_clean, (list(found.kinds), found.hangs, found.peak_mib)
