"""Commands laid out to be run by hand: they do their step's work and touch no artifact."""

from __future__ import annotations

import subprocess

import pytest

from lib_copier.errors import InputError


def test_every_command_runs_by_hand_after_its_step_is_done(project):
    made = project(name="mit Ümlaut 複写", copier_model__as_file=True)
    made.run()
    before = {path: path.read_bytes() for path in (made.folder / "artifacts").rglob("*") if path.is_file()}
    for step in made.plan():
        if step.same_as:
            assert made.lay_out(step.id) == made.lay_out(step.same_as)
            continue
        if not made.command(step.id):
            with pytest.raises(InputError, match="no command"):
                made.lay_out(step.id)
            continue
        line = made.lay_out(step.id)
        subprocess.run(["sh", "-c", line], check=True, capture_output=True)
        out = made.folder / "by-hand" / step.id.replace("/", ".") / "out"
        assert (out / step.outputs[0].name).is_file(), step.id
    assert before == {path: path.read_bytes() for path in before}
    assert {status.state for status in made.status()} == {"done"}


def test_a_command_whose_inputs_are_not_there_says_so(project):
    with pytest.raises(InputError, match="not known yet"):
        project().lay_out("edit_lora/one/outline")
