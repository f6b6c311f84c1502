"""Threads are one an idle core, sleep where they wait for long, and the user has the last word."""

from __future__ import annotations

import os

import psutil
import pytest

from lib_copier.models import threads
from lib_copier.models.threads import CpuUse, ThreadBalance, cpu_use, prepare_environment, thread_count


@pytest.fixture
def machine(monkeypatch):
    """A machine of four cores with the given loads."""

    def make(*shares: float) -> None:
        monkeypatch.setattr(psutil, "cpu_percent", lambda interval, percpu: list(shares))
        monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: len(shares))
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(len(shares))), raising=False)

    return make


@pytest.mark.parametrize(
    ("shares", "threads"), [((0, 0, 0, 0), 4), ((100, 3, 10, 60), 2), ((100, 100), 1), ((90,), 1)]
)
def test_busy_cores_are_left_to_others(machine, shares, threads):
    machine(*shares)
    assert thread_count() == threads


def test_the_user_has_the_last_word(machine, monkeypatch):
    machine(0, 0)
    monkeypatch.setattr(os, "environ", {"OMP_NUM_THREADS": "7", "OMP_WAIT_POLICY": "ACTIVE"})
    prepare_environment()
    assert os.environ["OMP_NUM_THREADS"] == "7" and os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert 0 < int(os.environ["GOMP_SPINCOUNT"]) <= 10_000


def test_threads_are_told_before_torch_is_loaded(machine, monkeypatch):
    machine(0, 100)
    monkeypatch.setattr(os, "environ", {})
    prepare_environment()
    assert os.environ["OMP_NUM_THREADS"] == "1" and os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.fixture
def balanced(monkeypatch):
    """Looks every second at what others use (cores), and gives the number of threads after each look."""

    def run(most: int, others: list[float]) -> list[int]:
        clock = [0.0]
        monkeypatch.setattr(threads.time, "monotonic", lambda: clock[0])
        now, others_used = [most], [0.0]

        def look() -> CpuUse:
            return CpuUse(clock[0], 0.7 * clock[0] + others_used[0], 0.7 * clock[0])

        balance, found = ThreadBalance(most, now.append, look=look), []
        for used in others:
            clock[0] += 10.0
            others_used[0] += 10.0 * used
            balance()
            found.append(now[-1])
        return found

    return run


def test_threads_make_room_for_a_program_that_comes_later_and_come_back(balanced):
    assert balanced(2, [0.0, 0.5, 0.9, 1.0, 0.1, 0.0, 0.0]) == [2, 2, 1, 1, 1, 2, 2]
    assert balanced(8, [3.0, 3.0, 9.0, 9.0, 0.0, 0.0]) == [8, 5, 5, 1, 1, 8]


def test_what_passes_quickly_changes_nothing(balanced):
    assert balanced(2, [1.0, 0.0, 1.0, 0.0, 0.2, 0.25]) == [2] * 6
    assert balanced(1, [1.0, 1.0, 1.0]) == [1] * 3


def test_nobody_looks_between_the_looks(monkeypatch):
    looks = []
    balance = ThreadBalance(2, lambda count: None, look=lambda: looks.append(0) or CpuUse(0.0, 0.0, 0.0))
    for _ in range(100):
        balance()
    assert len(looks) == 1


def test_the_machine_tells_its_use():
    before = cpu_use()
    sum(range(3_000_000))
    after = cpu_use()
    assert after.clock > before.clock and after.own > before.own and after.cores >= before.cores
