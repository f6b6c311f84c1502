"""Children open no window on Windows, lead a group where that is wanted, and are heard to their end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib_copier.border import child


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


def test_what_a_short_command_says_is_told_and_logged(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    code = "import sys; print('one\\n\\n  two', flush=True); sys.stderr.buffer.write(b'\\xff'); sys.exit(3)"
    environ = dict(os.environ)
    for _ in range(2):
        found = child.run_logged([sys.executable, "-S", "-c", code], log, env=environ, cwd=tmp_path)
        assert found[0] == 3 and found[1] == ["one", "two", "\N{REPLACEMENT CHARACTER}"]
    assert log.read_text(encoding="utf-8").count("one\n\n  two\n") == 2, "both times"


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        argv = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
        child.run_logged(argv, tmp_path / "log.txt", env=dict(os.environ), timeout=0.2)
