"""Pictures, LoRAs and folders that a recipe names come into the project and serve it from there."""

from __future__ import annotations

import pytest

from lib_copier.errors import FaultsError
from lib_copier.steps.project import Project
from tests.steps.looks import states


def test_named_files_come_into_the_project(project, recipe, tmp_path):
    from PIL import Image

    for name in ("mine", "edited"):
        Image.new("RGB", (64, 64), "red").save(tmp_path / f"{name}.png")
    made = project()
    made.set(
        {
            "origins.one.source": "file",
            "origins.one.file": str(tmp_path / "mine.png"),
            "edits.outline.files.one": str(tmp_path / "edited.png"),
        }
    )
    (tmp_path / "mine.png").unlink()
    (tmp_path / "edited.png").unlink()
    made.run()
    assert str(made.recipe.origin("one").get("file")).startswith("pictures/mine-")
    assert states(Project.open(made.folder))["edit/one/outline"] == "done"
    with pytest.raises(FaultsError, match="does not exist"):
        made.set({"origins.one.file": str(tmp_path / "gone.png")})
