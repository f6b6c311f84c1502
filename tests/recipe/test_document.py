"""A recipe from elsewhere: its names stay names, and no path in it leads to anything here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_copier.recipe.check import faults
from lib_copier.recipe.document import from_elsewhere, read_document, shareable, to_document
from lib_copier.recipe.model import Recipe
from lib_copier.recipe.options import OPTIONS

HOSTILE = ("../up", "a/b", "C:\\x", "..", ".", ".hidden", "-rf", "nul", "COM1.txt", "a.", "x" * 200,
           "ä" * 40, "a\nb", "a\u202eb", "a\0b", "a:b", "\ud800")  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_would_be_another_path_is_refused_wherever_it_stands(name):
    places = (
        {"origins": [{"name": name}]},
        {"edits": [{"name": name}]},
        {"project": {"name": name}},
        {"publish": {"name": name}},
        {"edits": [{"name": "e", "settings": {"publish.name": name}}]},
    )
    for place in places:
        assert read_document({"schema": 1, **place})[1], place


def test_two_spellings_of_a_name_become_one():
    assert OPTIONS["publish.name"].accept(" cafe\u0301 ") == "café"
    assert read_document({"schema": 1, "edits": [{"name": "cafe\u0301"}]})[1]


@pytest.mark.parametrize(
    "device", ["../../x", "cuda:0/..", "cuda:", "cuda:-1", "CUDA", "", "cpu ", "gpu", "cuda:1234"]
)
def test_a_device_is_one_of_few_words(device):
    with pytest.raises(ValueError, match="project.device takes auto"):
        OPTIONS["project.device"].accept(device)
    assert OPTIONS["project.device"].accept("cuda:1") == "cuda:1"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../x",
        "..",
        "C:\\Users\\me\\x.png",
        "\\\\host\\share\\x",
        "artifacts",
        "~/x",
        "f:///x",
    ],
)
def test_a_recipe_from_elsewhere_leads_to_nothing_here(path):
    document = {
        "schema": 1,
        "project": {"checkpoint": path, "vae": path},
        "base": {"folder": path, "loras": [f"{path}:0.5"]},
        "sweep": {"checkpoint": path},
        "publish": {"folder": path},
        "caption": {"tagger_model": path},
        "origins": [{"name": "o", "source": "file", "file": path}],
        "edits": [{"name": "e", "files": {"o": path}, "settings": {"sweep.checkpoint": path}}],
    }
    recipe, forgotten = from_elsewhere(document, "recipe")
    assert len(forgotten) == 10
    assert json.dumps(path) not in json.dumps(to_document(recipe))
    assert not any("/" in text or "\\" in text for text in forgotten)
    assert recipe.get("caption.tagger_model") == OPTIONS["caption.tagger_model"].default
    wanted = {"project.checkpoint names no file", "origin 'o': origin.file names no picture"}
    assert wanted <= set(faults(recipe, Path("/nowhere")))


def test_the_usual_tagger_stays_and_another_is_forgotten():
    kept = shareable(Recipe())
    assert from_elsewhere(kept, "recipe") == (Recipe(), ())
    other = {**kept, "caption": {"tagger_model": "somebody/model"}}
    assert from_elsewhere(other, "recipe") == (Recipe(), ("caption.tagger_model: model",))


def test_two_of_one_name_are_a_fault_of_the_document() -> None:
    origins, edits = [{"name": "a"}, {"name": "a"}], [{"name": "b"}, {"name": "b"}, {"name": "B"}]
    found = read_document({"schema": 1, "origins": origins, "edits": edits})[1]
    assert found == ("2 origins are named 'a'", "2 edits are named 'b'")
