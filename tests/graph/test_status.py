"""Where a step stands while its engine is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lib_copier.errors import InputError
from lib_copier.graph.folders import Folders
from lib_copier.graph.runner import Runner
from lib_copier.graph.status import DONE, STALE, Inspector
from lib_copier.graph.step import Plan
from lib_copier.graph.store import Store
from tests.graph.conftest import step


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
