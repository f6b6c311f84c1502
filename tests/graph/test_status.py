"""Where a step stands, and why: what has changed, what is missing, what is still being read."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from lib_copier.errors import InputError
from lib_copier.graph import readings as readings_module
from lib_copier.graph import status as status_module
from lib_copier.graph.folders import Folders
from lib_copier.graph.readings import Readings
from lib_copier.graph.runner import Runner
from lib_copier.graph.status import DONE, STALE, Inspector
from lib_copier.graph.step import Plan, StepInput
from lib_copier.graph.store import Store
from tests.graph.conftest import step
from tests.graph.test_readings import wait_for


def test_finished_work_stays_of_use_while_its_engine_is_missing(run, tmp_path) -> None:
    steps = (replace(step("a"), engine="e"), step("b", "a"))
    run(*steps).run()

    def missing(name: str) -> str:
        raise InputError("e is not installed.", "Install it.")

    a, b = Inspector(Plan(steps), Store(tmp_path), tmp_path, missing).all()
    assert (a.state, a.key) == (STALE, "") and "not installed" in a.reasons[0]
    assert a.artifact is not None and b.state == DONE
    with pytest.raises(InputError, match="Step a cannot run"):
        Runner(Plan(steps), Store(tmp_path), Folders(tmp_path), missing).run()


def test_a_change_is_told_by_its_values_where_their_beginnings_differ(run, tmp_path) -> None:
    def reasons(word: str) -> tuple[str, ...]:
        steps = Plan((step("a", word=word),))
        (found,) = Inspector(steps, Store(tmp_path), tmp_path, lambda name: "1").all()
        return found.reasons

    run(step("a", word="x" * 60)).run()
    assert reasons("y") == (f"a.word changed {'x' * 37}… → y",)
    assert reasons("x" * 61) == ("a.word changed",)


def test_what_a_large_file_decides_is_told_once_it_is_read(run, tmp_path, monkeypatch) -> None:
    (tmp_path / "base").write_bytes(b"weights")
    reading = replace(step("a"), inputs=(StepInput("checkpoint", path="base"),))
    run(reading).run()
    (tmp_path / "digests.json").unlink()
    monkeypatch.setattr(status_module, "LARGE", 1)
    readings, plan, may_end = Readings(), Plan((reading,)), threading.Event()
    monkeypatch.setattr(readings_module, "chunks_of", lambda path: [b"weights"] if may_end.wait(20) else [])

    def look():
        return Inspector(plan, Store(tmp_path), tmp_path, str, readings=readings).all()[0]

    first = look()
    assert (first.state, first.key, first.reasons) == (STALE, "", ("checkpoint base is being read",))
    may_end.set()
    wait_for(readings, tmp_path / "base")
    assert look().state == DONE
    assert Inspector(plan, Store(tmp_path), tmp_path, str, readings=Readings()).all()[0].state == DONE, (
        "the digest is remembered"
    )
