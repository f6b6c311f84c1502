"""Work of the host's in threads."""

from __future__ import annotations

import threading
import time

from lib_copier.errors import InputError
from lib_copier.ui.tasks import Tasks


def wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_one_task_a_key_and_its_failure_until_it_is_seen():
    tasks, go = Tasks(), threading.Event()

    def work():
        go.wait(5)
        raise InputError("No model.", "Load one.")

    assert tasks.start("a", work)
    assert not tasks.start("a", work)
    tasks.forget("a")
    assert tasks.is_open("a") and tasks.failure("a") == ""
    go.set()
    wait_for(lambda: not tasks.is_open("a"))
    assert [tasks.failure("a"), tasks.failure("a")] == ["No model. Load one."] * 2, "until it is seen"
    tasks.forget("a")
    assert tasks.failure("a") == ""
    assert tasks.start("a", lambda: None)


def test_a_fault_of_ours_is_told_too(caplog):
    tasks = Tasks()
    tasks.start("a", lambda: 1 / 0)
    wait_for(lambda: not tasks.is_open("a"))
    assert "ZeroDivisionError" in tasks.failure("a")
