"""Recipes that older versions wrote are read as they were meant."""

from __future__ import annotations

import pytest

from lib_copier.recipe.document import from_document
from lib_copier.recipe.migrations import migrate
from lib_copier.recipe.model import SCHEMA


@pytest.mark.parametrize(("typed", "kept"), [(1.0, None), (1.5, 1.5)])
def test_a_typed_gain_is_kept_and_the_usual_one_gives_way_to_the_measured(typed, kept):
    old = {
        "schema": 1,
        "merge": {"gain": typed, "ratio": "sum"},
        "edits": [
            {"name": "a", "effects": [], "files": {}, "settings": {"merge.gain": 1.15}},
            {"name": "b", "effects": [], "files": {}, "settings": {}},
        ],
    }
    recipe = from_document(old)
    assert recipe.get("calibrate.gain") == kept and recipe.get("merge.ratio") == "sum"
    assert recipe.get("calibrate.gain", recipe.edit("a")) == 1.15
    assert recipe.get("calibrate.gain", recipe.edit("b")) == kept
    assert migrate(old)["schema"] == SCHEMA and old["merge"] == {"gain": typed, "ratio": "sum"}


@pytest.mark.parametrize("junk", [None, 3, [], ["x"], [{"name": "a", "settings": 3}], [{"settings": []}]])
def test_junk_of_an_older_schema_is_left_to_the_reader(junk):
    assert migrate({"schema": 1, "merge": junk, "edits": junk})["edits"] == junk
