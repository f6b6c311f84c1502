"""Children open no window on Windows, and lead a group where that is wanted."""

from __future__ import annotations

import pytest

from lib_copier import child


@pytest.mark.parametrize(
    ("platform", "own_group", "expected"),
    [
        ("linux", False, {}),
        ("darwin", True, {"start_new_session": True}),
        ("win32", False, {"creationflags": 0x08000000}),
        ("win32", True, {"creationflags": 0x08000200}),
    ],
)
def test_how_a_child_is_started(monkeypatch, platform, own_group, expected) -> None:
    monkeypatch.setattr(child.sys, "platform", platform)
    assert child.start_options(own_group=own_group) == expected
