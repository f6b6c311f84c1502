"""Requests to stop, and notes of what runs."""

from __future__ import annotations

import json

from lib_copier.graph.running import ask_to_stop, wanted_stop, withdraw


def test_requests_to_stop(tmp_path) -> None:
    control = tmp_path / "x" / "control.json"
    assert wanted_stop(control) == ""
    ask_to_stop(control, "save")
    assert wanted_stop(control) == "save"
    for junk in ("", "{", "[]", '{"stop": "now"}', json.dumps({"stop": None})):
        control.write_text(junk)
        assert wanted_stop(control) == ""
    withdraw(control)
    withdraw(control)
