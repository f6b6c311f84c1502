"""Changes by address: all or none, and no name leads out of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.errors import FaultsError, InputError
from lib_copier.recipe.model import Recipe
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
