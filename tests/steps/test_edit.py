"""The edited picture: made by effects or taken in, and refused where it changes nothing."""

from __future__ import annotations

import pytest

from lib_copier.errors import InputError
from lib_copier.recipe.model import Edit, parse_effects
from lib_copier.steps import edit
from lib_copier.steps.plan import plan
from tests.steps.looks import job_of, others


def test_effects_are_applied_to_the_origin(recipe, tmp_path):
    made = recipe().with_edit(Edit("outline", parse_effects("outline:strength=0.5,width=2+flat")))
    step = plan(made).step("edit/one/outline")
    assert job_of(step, tmp_path) == {
        "job": "edit",
        "picture": "origin.0",
        "chain": [
            {"name": "outline", "strength": 0.5, "params": {"width": 2}},
            {"name": "flat", "strength": 1.0, "params": {}},
        ],
        **{"output": "out/picture.png", "mask": "out/mask.png", "heat": "out/heat.png"},
    }


def test_a_retouched_picture_is_put_beside_its_origin(recipe, tmp_path):
    made = recipe(edit__align=True).with_edit(Edit("outline", files=(("one", "pictures/mine.png"),)))
    step = plan(made).step("edit/one/outline")
    assert job_of(step, tmp_path) == {
        "job": "pair",
        "origin": "origin.0",
        "edited": "edited.0",
        "output": "out",
        "align": True,
    }
    assert [one.path for one in step.inputs] == ["", "pictures/mine.png"]


def test_aligning_is_asked_of_a_picture_of_one_s_own_alone(recipe):
    assert not others(plan(recipe()), plan(recipe(edit__align=True)))
    own = recipe().with_edit(Edit("outline", files=(("one", "pictures/mine.png"),)))
    aligned = own.with_settings({"edit.align": True})
    assert others(plan(own), plan(aligned)) == {"edit/one/outline"}


def test_an_unchanged_picture_is_refused_before_training():
    with pytest.raises(InputError, match="does not differ"):
        edit._refuse_unchanged(_place("edit/one/outline"), {"changed": 0.0})
    edit._refuse_unchanged(_place("edit/one/outline"), {"changed": 0.01})


def _place(step_id: str):
    from types import SimpleNamespace

    return SimpleNamespace(step=SimpleNamespace(id=step_id))
