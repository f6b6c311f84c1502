"""The edit LoRA: trained on the copier model, where wanted under a mask and against the origin."""

from __future__ import annotations

from lib_copier.recipe.model import settings_of
from lib_copier.steps.plan import plan
from tests.steps.looks import job_of, others


def test_it_trains_the_edited_picture_on_the_copier_model(recipe, tmp_path):
    (tmp_path / "caption.0").write_text("a house\n")
    step = plan(recipe(edit_lora__steps=55)).step("edit_lora/one/outline")
    job = job_of(step, tmp_path)
    assert job["pictures"] == [
        {"path": "picture.0", "caption": "a house", "mask": None, "origin": None, "walk": None}
    ]
    assert job["base_loras"] == [{"path": "base_lora.0", "weight": 1.0}] and job["steps"] == 55
    assert {given.step for given in step.inputs if given.step} == {
        "copier/one",
        "edit/one/outline",
        "caption/one",
    }
    assert step.waits_for == ("check/one", "survival/one/outline")


def test_mask_and_origin_are_asked_for_singly(recipe, tmp_path):
    (tmp_path / "caption.0").write_text("")

    def picture(**settings):
        step = plan(recipe(**settings)).step("edit_lora/one/outline")
        (found,) = job_of(step, tmp_path)["pictures"]
        return found["mask"], found["origin"], "origin/one" in step.follows

    assert picture(edit_lora__mask=True) == ("mask.0", None, False)
    assert picture(edit_lora__against_origin=True) == (None, "origin.0", True)
    both = {"edit_lora__mask": True, "edit_lora__against_origin": True}
    assert picture(**both) == ("mask.0", "origin.0", True)


def test_an_edit_s_own_settings_are_its_alone(recipe):
    before = recipe(edits=("outline", "flat"))
    flat = before.edit("flat")
    own = settings_of({"edit_lora.steps": 9, "edit_lora.mask": True})
    after = before.with_edit(type(flat)(flat.name, flat.effects, settings=own))
    assert others(plan(before), plan(after)) == {"edit_lora/one/flat"}
    assert others(plan(before), plan(before.with_settings({"edit_lora.steps": 9}))) == {
        "edit_lora/one/flat",
        "edit_lora/one/outline",
    }
