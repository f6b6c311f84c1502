"""Locks that say who holds them, and go with their holder."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import psutil
import pytest

from lib_copier.files.lock import HeldError
from lib_copier.graph.lock import held, holder, identity, living, this_process


def test_a_held_lock_says_by_whom(tmp_path) -> None:
    path = tmp_path / "a.lock"
    with held(path, "The project x"):
        with (
            pytest.raises(HeldError, match=f"The project x is in use by process {os.getpid()} on "),
            held(path, "The project x"),
        ):
            pass
        assert holder(path)["pid"] == os.getpid()
    assert holder(path) is None
    with held(path, "again"):
        pass


def _hold(path: Path, ready) -> None:
    with held(path, "it"):
        ready.set()
        time.sleep(60)


def test_the_lock_of_a_killed_holder_is_taken_over(tmp_path) -> None:
    path = tmp_path / "a.lock"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(path, ready))
    process.start()
    assert ready.wait(30)
    with pytest.raises(HeldError, match=f"process {process.pid}"), held(path, "it"):
        pass
    process.kill()
    process.join()
    assert holder(path) is None, "the note of a dead process means nothing"
    with held(path, "it"):
        assert holder(path)["pid"] == os.getpid()


def test_a_number_given_away_again_is_another_process() -> None:
    me = this_process()
    assert living(me).pid == os.getpid()
    assert living({**me, "created": me["created"] - 100}) is None
    assert living({**me, "host": "elsewhere"}) is None
    assert living({"pid": "x"}) is None and living(None) is None
    with pytest.raises(psutil.NoSuchProcess):
        identity(2**22 + 1)
