"""The finished LoRA under its name, with its recipe and card, in the user's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_copier.errors import FaultsError, InputError
from lib_copier.model_file.header import read_header
from lib_copier.recipe.model import Recipe
from lib_copier.steps.project import Project
from lib_copier.steps.publish import RECIPE_KEY, description
from tests.steps.looks import published


def test_the_finished_lora_carries_its_recipe(project, tmp_path, checkpoint):
    made = project(copier__rank=17)
    made.run()
    metadata = read_header(made.file("publish/outline")).metadata
    text = metadata[RECIPE_KEY]
    assert str(tmp_path) not in text and "ss_training_started_at" not in metadata
    again = Project.from_lora(tmp_path / "again", made.file("publish/outline"), str(checkpoint))
    assert again.recipe.get("copier.rank") == 17
    assert again.faults() == ()
    again.run()
    tensors = [
        path.read_bytes()[-64:] for path in (made.file("publish/outline"), again.file("publish/outline"))
    ]
    assert tensors[0] == tensors[1]


def test_two_edits_of_one_published_name_are_told_before_anything_runs(project):
    made = project(edits=("outline", "posterize"), publish__name="Same")
    with pytest.raises(FaultsError, match="would both be published as 'Same'"):
        made.run()
    assert not made.runs()


def test_export_and_publish_copy_out_and_overwrite_no_stranger(project, tmp_path):
    target = tmp_path / "Lora"
    target.mkdir()
    made = project(publish__folder=str(target), publish__name="thick lines")
    made.run()
    lora = target / "thick lines.safetensors"
    assert lora.read_bytes() == published(made)
    card = json.loads((target / "thick lines.json").read_text())
    assert card["preferred weight"] == 1.0
    told = "0.90 of the edit, follows its weight by 0.98, leaks 0.01 of the origin"
    assert card["description"] == f"At weight 1, on pictures never seen: {told}."
    # Whatever stands there the WebUI takes for what the user says, before what the file's metadata tells.
    assert "sd version" not in card
    outside = tmp_path / "out"
    outside.mkdir()
    names = {path.name for path in made.export("outline", outside)}
    assert names == {f"thick lines{end}" for end in (".safetensors", ".png", ".json", ".recipe.json")}
    assert Project.create(tmp_path / "from_file", _recipe_of(outside / "thick lines.recipe.json"))
    made.file("resize/outline").rename(tmp_path / "foreign.safetensors")
    lora.write_bytes((tmp_path / "foreign.safetensors").read_bytes())
    with pytest.raises(InputError, match="was not made here"):
        made.rerun("publish/outline")


def test_what_was_not_measured_is_not_told():
    assert description({}) == description({"strength": None, "leak": "x", "rest": float("nan")}) == ""
    told = description({"rest": 4.25, "rest_worst": 9.0})
    assert told.endswith(": 4.2 of 255 levels change beside the edit, 9.0 in the worst picture.")


def _recipe_of(path: Path) -> Recipe:
    from lib_copier.recipe.document import from_document

    return from_document(json.loads(path.read_text()))
