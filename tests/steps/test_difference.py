"""The difference LoRA: the LoRAs themselves, or what is extracted from two checkpoints."""

from __future__ import annotations

import pytest

from lib_copier.steps.plan import plan
from tests.steps.looks import flags_of, others, words_of

MEMO = {"difference__way": "checkpoints"}


def test_from_the_loras_nothing_is_left_to_do(recipe):
    step = plan(recipe()).step("difference/outline")
    assert step.action is None and step.same_as == "merge/outline" and "exact" in step.note
    assert [one.name for one in step.outputs] == ["lora.safetensors"]


def test_the_memo_s_way_extracts_from_the_two_checkpoints(recipe, tmp_path):
    made = plan(recipe(**MEMO, difference__rank=32, difference__min_diff=0.0))
    step = made.step("difference/outline")
    assert {one.role for one in step.inputs} == {"checkpoint", "tuned"}
    words = words_of(step, tmp_path)
    assert words[:2] == ["lib_copier.lora", "extract"]
    assert flags_of(words) == {
        "--model_org": ["checkpoint.0"],
        "--model_tuned": ["tuned.0"],
        "--dim": ["32"],
        "--min_diff": ["0.0"],
        "--save_to": ["out/lora.safetensors"],
        "--save_precision": ["float"],
        "--device": ["cpu"],
    }
    assert made.step("merge/outline").outputs[0].name == "model.safetensors"


@pytest.mark.parametrize("name", ["rank", "min_diff"])
def test_its_settings_count_where_it_has_work_to_do(recipe, name):
    changed = {f"difference__{name}": 1}
    assert not others(plan(recipe()), plan(recipe(**changed)))
    assert others(plan(recipe(**MEMO)), plan(recipe(**MEMO, **changed))) == {"difference/outline"}


def test_a_method_that_ends_with_the_edit_lora_has_none(recipe):
    made = plan(recipe(**MEMO, project__end="edit_lora"))
    assert "difference/outline" not in made and "resize/outline" not in made
    assert "merge/outline" in made.step("calibrate/outline").follows
    assert made.step("publish/outline").follows[0] == "calibrate/outline"
