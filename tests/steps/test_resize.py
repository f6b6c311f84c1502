"""The rank is lowered, a layer's own where that is wanted, or left as it is."""

from __future__ import annotations

import pytest

from lib_copier.steps.plan import plan
from tests.steps.looks import flags_of, others, words_of


def test_its_command_says_rank_and_precision(recipe, tmp_path):
    words = words_of(plan(recipe(resize__rank=4, resize__conv_rank=2)).step("resize/outline"), tmp_path)
    assert words[:2] == ["lib_copier.lora", "resize"]
    assert flags_of(words) == {
        "--model": ["lora.0"],
        "--new_rank": ["4"],
        "--new_conv_rank": ["2"],
        "--save_to": ["out/lora.safetensors"],
        "--save_precision": ["fp16"],
        "--device": ["cpu"],
    }


def test_a_dynamic_method_has_its_parameter(recipe, tmp_path):
    asked = {"resize__dynamic_method": "sv_fro", "resize__dynamic_param": 0.8}
    flags = flags_of(words_of(plan(recipe(**asked)).step("resize/outline"), tmp_path))
    assert flags["--dynamic_method"] == ["sv_fro"] and flags["--dynamic_param"] == ["0.8"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("rank", 4), ("conv_rank", 4), ("dynamic_method", "sv_fro"), ("save_precision", "float")],
)
def test_its_settings_make_it_and_no_other_anew(recipe, name, value):
    assert others(plan(recipe()), plan(recipe(**{f"resize__{name}": value}))) == {"resize/outline"}


def test_switched_off_it_is_the_lora_before_it(recipe, project):
    step = plan(recipe(resize__enabled=False)).step("resize/outline")
    assert step.action is None and step.same_as == "difference/outline" and step.note == "switched off"
    made = project(resize__enabled=False)
    made.run(["resize/outline"])
    assert made.file("resize/outline") == made.file("edit_lora/one/outline")
