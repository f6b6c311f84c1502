"""Whole files whatever happens while they are written, JSON that cannot hurt, logs that tear."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.errors import CopierError, InputError
from lib_copier.files import disk

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text('ab\\"[{é', max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@given(VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    assert disk.parse_json(disk.json_text(value), "it") == value


@pytest.mark.parametrize("character", ["\u2028", "é", "\U0001f600", "\x7f"])
def test_a_file_holds_what_was_given(tmp_path: Path, character: str) -> None:
    path = tmp_path / "new" / f"{character * 50}.json"
    disk.write_json(path, {"x": character, "lost": float("nan")})
    assert disk.read_json(path) == {"x": character, "lost": None}
    assert names(path.parent) == [path.name]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    disk.write_text(path, "old")
    with pytest.raises(RuntimeError), disk.replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_the_finished_file_has_the_rights_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    disk.write_bytes(tmp_path / "whole", b"")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("place", ["", "missing/file", "taken/file"])
def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(InputError), disk.replacing(tmp_path / place):
        pass
    with pytest.raises(InputError):
        disk.write_bytes(tmp_path / "taken" / "file", b"")


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(CopierError, match="No space"), disk.replacing(tmp_path / "file"):
        raise OSError(28, "No space left on device")
    assert not names(tmp_path)


def test_windows_is_given_time_to_let_go_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def replace(self: Path, target: Path) -> None:
        tries.append(target)
        if len(tries) < 3:
            raise PermissionError

    monkeypatch.setattr(disk.sys, "platform", "win32")
    monkeypatch.setattr(disk.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(Path, "replace", replace)
    disk.move(tmp_path / "a", tmp_path / "b")
    assert len(tries) == 3


BROKEN = {
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 65 + b"1" + b"}" * 65,
    "unclosed": b"[" * 100_000,
    "huge": b'{"rank": ' + b"9" * 400 + b"}",
    "huge float": b"1e999",
    "long float": b"0." + b"1" * 5000,
    "half a character": b'"\\ud800"',
    "half a character in a name": b'{"\\uDC00": 1}',
    "not a number": b"[NaN]",
    "infinite": b"-Infinity",
    "twice": b'{"a": 1, "a": 2}',
    "latin": b'"\xe9"',
    "utf-16": json.dumps({"a": 1}).encode("utf-16"),
    "torn": b'{"a": ',
    "empty": b"",
    "many": b"[" + b"1," * disk.JSON_VALUES + b"1]",
    "endless text": b'["' + b'\\"' * 1_000_000 + b"[" * 100,
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_broken_json_is_refused_with_its_place(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "project.json"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"project\.json is no sound JSON") as caught:
        disk.read_json(path)
    assert caught.value.advice
    assert disk.found_object(path) == {}


def test_what_stands_within_texts_does_not_count() -> None:
    value = ['[{"' * 500, "\\" * 999 + '"', ",".join("x" * 50), *(["[", "\\"] for _ in range(100))]
    assert disk.parse_json(json.dumps(value), "it") == value
    assert disk.parse_json(b"\xef\xbb\xbf1", "with a mark") == 1
    assert disk.parse_json('"\\ud83d\\ude00"', "a pair") == "\U0001f600"


def test_only_plain_files_of_a_fair_size_are_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "missing", tmp_path / "zero\0"):
        with pytest.raises(InputError):
            disk.read_json(path)
    (tmp_path / "long").write_bytes(b'"' + b"x" * 100 + b'"')
    with pytest.raises(InputError, match="more than 50 bytes"):
        disk.read_json(tmp_path / "long", limit=50)


def test_a_text_with_half_a_character_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="half a character"):
        disk.write_json(tmp_path / "file", {"prompt": "\ud800"})
    assert not names(tmp_path)


def test_lines_are_followed_from_where_one_stopped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert disk.read_lines(path) == ([], 0)
    disk.append_line(path, "one")
    with path.open("ab") as file:
        file.write(b"torn")
    lines, offset = disk.read_lines(path)
    assert (lines, offset) == ([b"one"], 4)
    disk.append_line(path, "two\u2028\x85")
    assert disk.read_lines(path, offset)[0] == [b"torn", "two\u2028\x85".encode()]


def test_a_line_without_end_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LINES_BYTES", 8)
    path = tmp_path / "log"
    path.write_bytes(b"0123456789\nthe last\n")
    lines, offset = disk.read_lines(path)
    assert (lines, offset) == ([], 8)
    assert disk.read_lines(path, offset)[0] == [b"89"]


def test_a_name_that_no_file_can_have_is_no_file_s(tmp_path) -> None:
    (tmp_path / "a").write_text("a")
    assert disk.is_there(tmp_path / "a") and not disk.is_there(tmp_path)
    assert disk.is_there(tmp_path, as_folder=True) and not disk.is_there(tmp_path / "a", as_folder=True)
    for name in ("b", "x" * 5000, "a\0"):
        assert not disk.is_there(tmp_path / name) and not disk.is_there(tmp_path / name, as_folder=True)
