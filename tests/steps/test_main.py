"""A project as a job: its arguments, and the request to stop that its queue writes."""

from __future__ import annotations

import json

import pytest

from lib_copier.errors import CancelledError, InputError
from lib_copier.graph.running import JOB_CONTROL, ask_to_stop
from lib_copier.steps import __main__ as command


@pytest.fixture(autouse=True)
def no_signals(monkeypatch):
    """The handlers of a child are none for the tests' own process."""
    monkeypatch.setattr(command, "end_with_children", lambda: None)
    monkeypatch.delenv(JOB_CONTROL, raising=False)


def test_it_runs_what_the_project_asks_its_queue_for(project, capsys):
    made = project()
    arguments = list(made.run_arguments(["caption/one"]))
    assert arguments[:2] == ["-m", "lib_copier.steps"]
    assert command.main(arguments[2:]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["event"] == "done" and told["made"] == ["caption/one"]
    assert command.main([*arguments[2:], "--force", "caption/one"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["made"] == ["caption/one"]


def test_asked_to_stop_it_begins_no_step(project, tmp_path, monkeypatch):
    made = project()
    control = tmp_path / "control.json"
    ask_to_stop(control)
    monkeypatch.setenv(JOB_CONTROL, str(control))
    with pytest.raises(CancelledError):
        command.main([str(made.folder)])
    assert made.step_status("caption/one").artifact is None


@pytest.mark.parametrize("argv", [[], ["a", "b"], ["--until", "x"], ["a", "--until"], ["--other"]])
def test_anything_but_one_project_is_refused(argv):
    with pytest.raises(InputError, match="usage: python -m lib_copier.steps"):
        command.main(argv)
