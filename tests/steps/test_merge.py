"""Several pairs become one LoRA."""

from __future__ import annotations

from lib_copier.steps.plan import plan
from tests.steps.looks import flags_of, words_of


def test_several_pairs_are_joined_and_one_is_taken_as_it_is(recipe, tmp_path):
    assert plan(recipe()).step("merge/outline").same_as == "edit_lora/one/outline"
    for ratio, each in (("mean", "0.5"), ("sum", "1.0")):
        step = plan(recipe(origins=("one", "two"), merge__ratio=ratio)).step("merge/outline")
        words = words_of(step, tmp_path)
        assert words[:2] == ["lib_copier.lora", "merge"]
        flags = flags_of(words)
        assert flags["--models"] == ["lora.0", "lora.1"] and flags["--ratios"] == [each, each]
        assert "--sd_model" not in flags and flags["--save_precision"] == ["float"]


def test_on_the_memo_s_way_they_go_into_the_conditioned_base_model(recipe, tmp_path):
    made = recipe(difference__way="checkpoints", base__loras=("style.safetensors:0.25",))
    flags = flags_of(words_of(plan(made).step("merge/outline"), tmp_path))
    assert flags["--sd_model"] == ["checkpoint.0"]
    assert flags["--models"] == ["base_lora.0", "base_lora.1"] and flags["--ratios"] == ["0.25", "1.0"]


def test_a_merged_file_says_what_it_predicts(recipe, tmp_path):
    made = recipe(difference__way="checkpoints", project__prediction="v_prediction")
    words = words_of(plan(made).step("merge/outline"), tmp_path)
    assert "--v_parameterization" in words
