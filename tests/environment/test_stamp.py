"""A stamp counts only while it is whole and what it tells of is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.environment.stamp import NAME, Stamp, is_current, python_of, read_stamp, write_stamp


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 99}', '{"format": 1, "groups": 3}'])
def test_a_damaged_stamp_is_no_stamp(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert read_stamp(tmp_path) is None
    assert not is_current(tmp_path, {})


def test_a_stamp_counts_only_while_its_interpreter_is_there(tmp_path: Path) -> None:
    groups = {"base": ("numpy==2.2.6",)}
    write_stamp(tmp_path, Stamp("3.11.7", "cpu", "", groups))
    assert not is_current(tmp_path, groups)
    python = python_of(tmp_path)
    python.parent.mkdir()
    python.symlink_to(tmp_path / "a python that was removed")
    assert not is_current(tmp_path, groups)
    python.unlink()
    python.touch()
    assert is_current(tmp_path, groups)
    assert is_current(tmp_path, {})
    assert not is_current(tmp_path, groups, "cuda")
