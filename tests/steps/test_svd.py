"""Method B: one copier minus the other, at a low rank."""

from __future__ import annotations

import pytest

from lib_copier.steps.plan import plan
from tests.steps.looks import flags_of, others, words_of

SUBTRACTED = {"project__method": "difference"}


def weights_of(made) -> list[float]:
    return [one.weight for one in made.step("svd/outline").inputs]


def test_the_memo_sign_turns_the_lora_round(recipe):
    assert weights_of(plan(recipe(**SUBTRACTED))) == [1.0, -1.0]
    assert weights_of(plan(recipe(**SUBTRACTED, difference__sign="memo"))) == [-1.0, 1.0]


@pytest.mark.parametrize(("ratio", "share"), [("mean", 0.5), ("sum", 1.0)])
def test_each_origin_has_its_share(recipe, ratio, share):
    made = plan(recipe(**SUBTRACTED, origins=("one", "two"), merge__ratio=ratio))
    assert weights_of(made) == [share, -share, share, -share]
    assert [one.step.partition("/")[0] for one in made.step("svd/outline").inputs] == [
        "edited_copier",
        "copier",
        "edited_copier",
        "copier",
    ]


def test_its_command_subtracts_at_the_new_rank(recipe, tmp_path):
    made = plan(recipe(**SUBTRACTED, resize__rank=4, resize__save_precision="bf16"))
    words = words_of(made.step("svd/outline"), tmp_path)
    assert words[:2] == ["lib_copier.lora", "svd-merge"]
    assert flags_of(words) == {
        "--models": ["lora.0", "lora.1"],
        "--ratios": ["1.0", "-1.0"],
        "--new_rank": ["4"],
        "--save_to": ["out/lora.safetensors"],
        "--save_precision": ["bf16"],
        "--device": ["cpu"],
        "--precision": ["float"],
    }


@pytest.mark.parametrize("name", ["rank", "conv_rank"])
def test_its_settings_make_it_alone_anew(recipe, name):
    before, after = plan(recipe(**SUBTRACTED)), plan(recipe(**SUBTRACTED, **{f"resize__{name}": 4}))
    assert others(before, after) == {"svd/outline"}
