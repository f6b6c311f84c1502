"""Caption files as people write them: any mark, either suffix; what cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.steps.folder import pictures_in, read_caption
from lib_copier.steps.style_folder import files_to_take

TEXT = "a “smart” house, 家"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", [TEXT, f"  {TEXT}\r\n", TEXT.replace(", ", ",\n")])
def test_every_marked_encoding_is_read(tmp_path, encoding, text):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    assert read_caption(path) == TEXT


def test_utf_16_of_the_other_byte_order(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xfe\xff" + TEXT.encode("utf-16-be"))
    assert read_caption(path) == TEXT


@pytest.mark.parametrize(
    "content",
    [
        "a “smart” house".encode("cp1252"),
        "家".encode("shift_jis"),
        "a house".encode("utf-16-le"),
        b"\xff\xfea",
    ],
)
def test_another_encoding_is_refused_by_the_file_s_name(tmp_path, content):
    path = tmp_path / "smart.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="smart.txt.*UTF") as caught:
        read_caption(path)
    assert "UTF-8" in caught.value.advice


def test_captions_of_either_suffix_and_the_pictures_without(folder):
    (folder / "a.caption").write_text("of a caption file")
    (folder / "b.caption").write_text("not this")
    (folder / "b.txt").write_text("of a text file")
    pictures, notes = pictures_in(folder)
    assert [picture.caption for picture in pictures] == ["of a caption file", "of a text file", ""]
    assert notes == ("1 of 3 pictures have no caption: c.png.",)


def test_a_caption_file_s_tags_never_act_and_its_suffix_may_be_in_capitals(folder):
    (folder / "c.TXT").write_text("a hat, <lora:thick:1>,")
    assert pictures_in(folder)[0][2].caption == "a hat"


def test_a_folder_whose_pictures_all_have_captions_needs_no_note(folder):
    for name in "abc":
        (folder / f"{name}.txt").write_text("x")
    assert pictures_in(folder)[1] == ()


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no picture"):
        pictures_in(tmp_path)


def test_what_is_too_long_for_a_caption_is_refused(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("word " * 20_000)
    with pytest.raises(InputError, match="book.txt has more than 65536 bytes"):
        read_caption(path)


def test_a_caption_that_cannot_be_read_is_told_as_its_folder_is_chosen(folder, tmp_path_factory):
    (folder / "a.txt").write_bytes("a “smart” house".encode("cp1252"))
    with pytest.raises(InputError, match="a.txt is not UTF-8"):
        files_to_take(folder, tmp_path_factory.mktemp("project"))
