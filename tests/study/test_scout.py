"""A search for an origin: few steps, and only what can be judged on any picture."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lib_copier.errors import FaultsError
from lib_copier.recipe.model import Edit
from lib_copier.study.running import run
from lib_copier.study.scout import FEW_STEPS, picture_of, require_recipe, scout_question
from lib_copier.study.study import Study


def test_each_prompt_meets_each_seed_for_few_steps(recipe, tmp_path):
    base = recipe(copier__steps=800, check__pairs=8)
    question = scout_question(base, "one", ["a cat", "a dog"], 2)
    study = Study.create(tmp_path / "scout", question)
    joint = study.joint(question.climbed[-1])
    kinds = [step.kind for step in joint.plan]
    assert set(kinds) == {"origin", "caption", "copier", "check", "edit", "survival"}
    copier = next(step for step in joint.plan if step.kind == "copier")
    assert dict(copier.params)["steps"] == FEW_STEPS
    assert picture_of(study.variants[3]) == {"origins.one.prompt": "a dog", "origins.one.seed": 2}
    assert {outcome.state for outcome in run(study).values()} == {"measured"}


def test_a_person_s_own_retouching_is_left_out(recipe):
    base = recipe()
    by_hand = replace(base, edits=(Edit("mine", files=(("one", "a.png"),)),))
    (rung,) = scout_question(by_hand, "one", ["a cat"], 2).climbed
    assert rung.until == ("check",)


def test_what_keeps_the_recipe_from_running_is_told_as_the_wizard_tells_it(recipe, tmp_path):
    question = scout_question(recipe().with_settings({"project.checkpoint": ""}), "one", ["a cat"], 2)
    with pytest.raises(FaultsError, match="recipe of mine: 1 fault: project.checkpoint names no file"):
        require_recipe(Study(tmp_path, question), "mine")
