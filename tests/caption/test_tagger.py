"""The tagger, with a model that is played."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lib_copier.caption import __main__ as command
from lib_copier.caption import tagger
from lib_copier.edge import guard
from lib_copier.errors import CopierError, InputError

LIST = (
    "tag_id,name,category,count\n1,rating_safe,9,5\n2,red_hair,0,5\n3,^_^,0,5\n4,some_body,4,5\n5,blue,0,5\n"
)


class Session:
    """Gives fixed scores and remembers what it was given."""

    def __init__(self, *scores: float, side: object = 16) -> None:
        self.scores = np.array([scores], np.float32)
        self.side = side

    def get_inputs(self):
        return [SimpleNamespace(name="input", shape=["batch", self.side, self.side, 3])]

    def run(self, _outputs, given):
        self.given = given["input"]
        return [self.scores]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / tagger.TAGS_FILE).write_text(LIST)
    (tmp_path / tagger.MODEL_FILE).write_bytes(b"onnx")
    return tmp_path


def test_tags_above_the_threshold_the_likeliest_first(model) -> None:
    tags = tagger.read_tags(model / tagger.TAGS_FILE)
    session = Session(0.99, 0.5, 0.9, 0.4, 0.1)
    text = tagger.caption(Image.new("RGB", (8, 4), (255, 0, 0)), session, tags, 0.35)
    assert text == "^_^, red hair, some body", "ratings are no tags; faces keep their underscore"
    assert session.given.shape == (1, 16, 16, 3) and session.given.dtype == np.float32
    assert session.given[0, 8, 8].tolist() == [0, 0, 255], "blue, green, red"
    assert session.given[0, 0, 0].tolist() == [255, 255, 255], "filled up to a white square"


def test_files_that_do_not_belong_together(model) -> None:
    tags = tagger.read_tags(model / tagger.TAGS_FILE)
    with pytest.raises(CopierError, match="2 scores, its list has 5"):
        tagger.caption(Image.new("RGB", (8, 8)), Session(0.1, 0.2, side="any"), tags, 0.35)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"name,category\nx\n", b"name,category\n\xff,0\n"])
def test_a_broken_tag_list_is_told(tmp_path, content) -> None:
    (tmp_path / "other.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"other\.csv is no tag list"):
        tagger.read_tags(tmp_path / "other.csv")


def test_a_folder_without_its_files_is_told(tmp_path) -> None:
    with pytest.raises(InputError, match=r"has no model.onnx and no selected_tags.csv"):
        tagger.find_model(str(tmp_path))


def test_without_onnxruntime_it_says_what_to_do(model, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="needs the package onnxruntime") as caught:
        tagger.open_session(model / tagger.MODEL_FILE)
    assert "caption source typed" in caught.value.advice


def test_the_command_writes_one_line(model, monkeypatch, tmp_path, capsys) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "p.png")
    monkeypatch.setattr(tagger, "open_session", lambda path: Session(0, 0.9, 0, 0, 0.8))
    arguments = [str(tmp_path / "p.png"), str(tmp_path / "c.txt"), "--model", str(model)]
    assert guard(command.main, arguments, emits_events=True) == 0
    assert (tmp_path / "c.txt").read_text() == "red hair, blue\n"
    assert '"event": "done"' in capsys.readouterr().out
