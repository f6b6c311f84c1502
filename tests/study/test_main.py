"""A study as a job of a queue: its folder, and the request to stop that the queue writes."""

from __future__ import annotations

import json

import pytest

from lib_copier.errors import CancelledError, InputError
from lib_copier.graph.running import JOB_CONTROL, ask_to_stop
from lib_copier.study import __main__ as command


@pytest.fixture(autouse=True)
def no_signals(monkeypatch):
    """The handlers of a child are none for the tests' own process."""
    monkeypatch.setattr(command, "end_with_children", lambda: None)


def test_it_runs_a_study_or_stops_when_its_queue_asks(study, tmp_path, monkeypatch, capsys):
    asked = study(copier__rank=[4, 8])
    ask_to_stop(tmp_path / "control.json")
    monkeypatch.setenv(JOB_CONTROL, str(tmp_path / "control.json"))
    with pytest.raises(CancelledError):
        command.main([str(asked.folder)])
    monkeypatch.delenv(JOB_CONTROL)
    assert command.main([str(asked.folder)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"event": "done", "variants": 2}
    with pytest.raises(InputError, match="usage"):
        command.main([])
