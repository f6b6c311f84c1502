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


def test_the_other_methods_share_what_they_have_in_common(checkpoint, tmp_path) -> None:
    first = Project.create(tmp_path / "method-a", demo.demo_recipe(checkpoint, is_quick=False))
    others = demo._others(first, tmp_path)
    for letter, edits in {"B": demo.EDITS_B, "C": demo.EDITS_C}.items():
        other = others[letter]
        assert [edit.name for edit in other.recipe.edits] == [name for name in demo.EDITS if name in edits]
        assert not other.faults() and not other.recipe.get("sweep.control")
        assert first.plan().step("origin/scene") == other.plan().step("origin/scene")
        pictures = [dict(one.plan().step(f"sweep/{edits[0]}").params)["pairs"] for one in (first, other)]
        assert pictures[0] == pictures[1], "methods are judged by the same pictures"
    copiers = [dict(one.plan().step("copier/scene").params) for one in (first, others["B"])]
    assert copiers[0]["timestep_sampling"] == "importance", "method A draws its copier's time steps so"
    assert copiers[1]["timestep_sampling"] == "stratified", "what B subtracts has a copier of its own"
    again = demo._others(first, tmp_path)
    assert all(again[one].recipe == others[one].recipe for one in others), "a second demo goes on with them"


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
