"""Changes by address: all or none, and no name leads out of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.errors import FaultsError, InputError
from lib_copier.recipe.model import Recipe
from lib_copier.steps.change import all_changed, value_at
from lib_copier.steps.project import Project


@pytest.mark.parametrize("name", ["..", "a/b", "con", "x" * 80, ".hidden", "tab\there", ""])
def test_names_that_would_leave_the_project_are_refused(project, tmp_path, name):
    made = project()
    with pytest.raises(FaultsError, match="the name of the"):
        made.set({f"edits.{name}.effects": "outline", f"origins.{name}.prompt": "x"})
    if "/" not in name:
        with pytest.raises(InputError):
            Project.create(tmp_path / "sub" / name if name else Path("/"), Recipe())


def test_set_changes_all_or_nothing(project):
    made = project()
    before = (made.folder / "project.json").read_bytes()
    with pytest.raises(FaultsError) as caught:
        made.set({"copier.rank": "8", "copier.rnk": "8", "copier.steps": "many", "edits.x.copier.rank": "4"})
    assert len(caught.value.faults) == 3 and "did you mean copier.rank" in str(caught.value)
    assert (made.folder / "project.json").read_bytes() == before
    made.set({"edits.outline.edit_lora.rank": "128", "edit_lora.rank": "16"})
    assert made.recipe.get("edit_lora.rank", made.recipe.edit("outline")) == 128
    made.set({"edits.outline.edit_lora.rank": None})
    assert made.recipe.get("edit_lora.rank", made.recipe.edit("outline")) == 16
    made.set({"edits.outline.name": "lines", "origins.one.name": "first", "origins.two.prompt": "b"})
    assert [one.name for one in made.recipe.origins] == ["first", "two"]
    made.set({"origins.two": None, "edits.lines": None})
    assert made.recipe.edits == ()


@pytest.mark.parametrize(
    ("effects", "address", "value", "text"),
    [
        ("outline", "strength", "0.5", "outline:strength=0.5"),
        ("outline:width=2", "strength", 0.5, "outline:strength=0.5,width=2"),
        ("outline:strength=0.5,width=2", "width", 3, "outline:strength=0.5,width=3"),
        ("outline+flat", "flat.strength", 0.25, "outline+flat:strength=0.25"),
    ],
)
def test_one_number_of_an_effect_has_an_address(recipe, effects, address, value, text):
    typed = all_changed(recipe(), {"edits.outline.effects": effects})
    found = all_changed(typed, {f"edits.outline.effects.{address}": value})
    assert found == all_changed(typed, {"edits.outline.effects": text})


@pytest.mark.parametrize("address", ["outline.strength", "strength", "outline.flat.strength"])
def test_an_address_that_means_no_one_effect_is_refused(recipe, address):
    twice = all_changed(recipe(), {"edits.outline.effects": "outline+outline"})
    with pytest.raises(FaultsError, match="means no one effect"):
        all_changed(twice, {f"edits.outline.effects.{address}": 1})


def test_a_setting_is_found_where_it_was_put(recipe):
    values = {
        "copier.rank": 8,
        "origins.one.prompt": "a cat",
        "origin.seed": 7,
        "edits.outline.edit_lora.rank": 4,
        "edits.outline.files.one": "a.png",
    }
    made = all_changed(recipe(), values)
    assert {address: value_at(made, address) for address in values} == values
    for address in ("preset", "edits.outline.effects", "edits.outline.name", "edits.outline.copier.steps"):
        with pytest.raises((KeyError, ValueError)):
            value_at(made, address)
