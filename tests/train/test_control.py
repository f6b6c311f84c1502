"""A run hears its control file and its signals."""

from __future__ import annotations

import os
import signal

import pytest

from lib_copier.train.control import CONTROL_VARIABLE, StopRequests


def test_without_a_control_file_nothing_is_wished():
    assert StopRequests(None).wish() is None


@pytest.mark.parametrize("word", ["save", "discard"])
def test_the_control_file_is_heard(tmp_path, monkeypatch, word):
    control = tmp_path / "control.json"
    monkeypatch.setenv(CONTROL_VARIABLE, str(control))
    stop = StopRequests.from_environment()
    assert stop.wish() is None
    control.write_text('{"stop": "' + word + '"}', encoding="utf-8")
    assert stop.wish() == word
    assert stop.wish() == word


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stop": "later"}', '{"go": 1}'])
def test_other_content_is_no_wish(tmp_path, content):
    control = tmp_path / "control.json"
    control.write_text(content, encoding="utf-8")
    assert StopRequests(control).wish() is None


def test_a_half_written_file_is_read_again(tmp_path):
    control = tmp_path / "control.json"
    control.write_text('{"stop": "sa', encoding="utf-8")
    stop = StopRequests(control)
    assert stop.wish() is None
    control.write_text('{"stop": "save"}', encoding="utf-8")
    assert stop.wish() == "save"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_pause_and_handlers_come_back(number):
    before = signal.getsignal(number)
    stop = StopRequests(None)
    with stop.listening():
        os.kill(os.getpid(), number)
        assert stop.wish() == "pause"
    assert signal.getsignal(number) == before
