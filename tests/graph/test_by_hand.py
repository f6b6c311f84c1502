"""A command laid out to be run by hand has files of its own; the artifacts are never touched by it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lib_copier.errors import InputError
from lib_copier.graph.by_hand import laid_out, lay_out
from lib_copier.graph.folders import Folders
from lib_copier.graph.status import Inspector, StepStatus
from lib_copier.graph.step import Plan, Step
from lib_copier.graph.store import Store
from tests.graph.conftest import child, step

STEPS = (step("a"), step("b/x", "a", action=child), replace(step("c"), action=None, same_as="b/x"))


def statuses(folder: Path, steps: tuple[Step, ...] = STEPS) -> dict[str, StepStatus]:
    found = Inspector(Plan(steps), Store(folder), folder, lambda name: "1").all()
    return {status.id: status for status in found}


def test_the_line_does_the_step_s_work_in_a_folder_of_its_own(run, tmp_path) -> None:
    runner = run(*STEPS)
    runner.run()
    folders = Folders(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}
    assert laid_out("b/x", folders) == ""
    line = lay_out("b/x", statuses(tmp_path), folders)
    assert laid_out("b/x", folders) == line
    assert lay_out("c", statuses(tmp_path), folders) == line, "what takes a result over takes its line"
    subprocess.run(["sh", "-c", line], check=True, capture_output=True)
    assert (tmp_path / "by-hand" / "b.x" / "out" / "text.txt").read_text() == "a+b/x"
    assert before == {path: path.read_bytes() for path in before}


def test_what_has_no_command_or_no_inputs_yet_says_so(run, tmp_path) -> None:
    with pytest.raises(InputError, match="b/x is not known yet"):
        lay_out("b/x", statuses(tmp_path), Folders(tmp_path))
    with pytest.raises(InputError, match="a has no command"):
        lay_out("a", statuses(tmp_path), Folders(tmp_path))
    assert not Folders(tmp_path).by_hand("a").exists()
