"""Threads are one an idle core, sleep where they wait for long, and the user has the last word."""

from __future__ import annotations

import os

import psutil
import pytest

from lib_copier.models import threads
from lib_copier.models.threads import prepare_environment, thread_count


@pytest.fixture
def machine(monkeypatch):
    """A machine of four cores with the given loads."""

    def make(*shares: float) -> None:
        monkeypatch.setattr(psutil, "cpu_percent", lambda interval, percpu: list(shares))
        monkeypatch.setattr(threads, "granted_cores", lambda: len(shares))
        monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: len(shares))
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(len(shares))), raising=False)

    return make


@pytest.mark.parametrize(
    ("shares", "threads"), [((0, 0, 0, 0), 4), ((100, 3, 10, 60), 2), ((100, 100), 1), ((90,), 1)]
)
def test_busy_cores_are_left_to_others(machine, shares, threads):
    machine(*shares)
    assert thread_count() == threads


def test_a_container_has_no_more_than_it_is_granted(machine, monkeypatch):
    machine(100, 0, 0, 0)
    monkeypatch.setattr(threads, "granted_cores", lambda: 2)
    assert thread_count() == 2


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
