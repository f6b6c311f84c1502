"""Files before and after a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.engines.command_files import NewPictures, collect, prepare
from lib_copier.engines.task import Command
from lib_copier.errors import ChildError, InputError

EMPTY = (8).to_bytes(8, "little") + b"{}      "


def test_files_are_written_and_copied(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"picture")
    target = tmp_path / "deep" / "b.png"
    text = tmp_path / "other" / "c.txt"
    prepare(Command((), files=((text, "é\n"),), copies=((source, target),)))
    assert target.read_bytes() == b"picture"
    assert text.read_bytes() == "é\n".encode()


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent.png"):
        prepare(Command((), copies=((tmp_path / "absent.png", tmp_path / "b.png"),)))


def test_results_are_moved_and_completed(tmp_path: Path) -> None:
    from lib_copier.model_file.header import read_header

    made, wanted = tmp_path / "made.safetensors", tmp_path / "out" / "wanted.safetensors"
    made.write_bytes(EMPTY)
    collect(Command((), moves=((made, wanted),), metadata=(("key", "value"),)))
    assert read_header(wanted).metadata == {"key": "value"}
    assert not made.exists()


def test_a_result_in_its_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x")
    collect(Command((), moves=((path, path),)))
    assert path.read_text() == "x"


def test_a_result_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="wrote no a.txt") as caught:
        collect(Command(("x",), moves=((tmp_path / "a.txt", tmp_path / "b.txt"),)), ("No data found",))
    assert caught.value.last_lines == ("No data found",)


def test_pictures_are_told_once(tmp_path: Path) -> None:
    (tmp_path / "old.png").touch()
    pictures = NewPictures(tmp_path)
    assert pictures.take() == []
    (tmp_path / "new.png").touch()
    (tmp_path / "notes.txt").touch()
    assert pictures.take() == [tmp_path / "new.png"]
    assert pictures.take() == []
    assert NewPictures(None).take() == []
    assert NewPictures(tmp_path / "absent").take() == []
