"""The demo's recipe is sound, and its second half shares the first one's copier."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lib_copier.app import demo, demo_report
from lib_copier.engines.locate import demo_checkpoint
from lib_copier.errors import InputError
from lib_copier.recipe.check import faults
from lib_copier.steps.plan import plan
from lib_copier.steps.project import Project
from lib_copier.steps.sweep import weights


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A renamed copy: what it is for stands in the file."""
    return Path(shutil.copy(demo_checkpoint(), tmp_path / "any name.safetensors"))


@pytest.mark.parametrize("is_quick", [False, True])
def test_the_recipe_is_sound(checkpoint, tmp_path, is_quick) -> None:
    recipe = demo.demo_recipe(checkpoint, is_quick=is_quick)
    assert faults(recipe, tmp_path) == ()
    assert weights(recipe, recipe.edits[0]) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    ids = {step.id for step in plan(recipe)}
    assert ("control/jpeg" in ids) is not is_quick
    # A slider that misses its goal is shown all the same: the demo always comes to its report.
    assert all(plan(recipe).step(f"sweep/{edit.name}").is_accepted for edit in recipe.edits)


def test_method_b_shares_the_origin_and_its_copier(checkpoint, tmp_path) -> None:
    first = Project.create(tmp_path / "a", demo.demo_recipe(checkpoint, is_quick=False))
    second = demo._second(first, tmp_path / "b")
    assert [edit.name for edit in second.recipe.edits] == list(demo.EDITS_B)
    for step in ("origin/scene", "copier/scene"):
        shared = [project.plan().step(step) for project in (first, second)]
        assert shared[0] == shared[1]
    assert demo._second(first, tmp_path / "b").recipe == second.recipe, "a second demo goes on with it"


def test_a_missing_checkpoint_is_told(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(demo, "demo_checkpoint", lambda: tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="is missing"):
        demo.main(["--out", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0.0),
        ([(0, 4), (6, 7)], 5.0),
        ([(0, 4), (1, 2), (3, 6)], 6.0),
        ([(3, 6), (0, 4), (0, 4)], 6.0),
    ],
)
def test_time_side_by_side_counts_once(spans, seconds) -> None:
    assert demo_report.covered(spans) == seconds
