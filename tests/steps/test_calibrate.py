"""Weight 1 is the edit: where the gain is measured, where it is typed, and what then is published."""

from __future__ import annotations

import json

import pytest

from lib_copier.steps.plan import plan
from lib_copier.steps.prompts import CALIBRATION_PROMPTS, OTHER_PROMPTS, PROMPTS
from tests.steps.looks import flags_of, job_of, others, states, words_of


def test_it_is_measured_on_pictures_that_neither_check_nor_sweep_uses(recipe, tmp_path):
    made = plan(recipe(sweep__steps=9, calibrate__pairs=2, calibrate__most_leak=0.1))
    job, swept = (job_of(made.step(f"{kind}/outline"), tmp_path) for kind in ("calibrate", "sweep"))
    assert job["job"] == "calibrate" and job["sampling"] == swept["sampling"]
    assert job["prompts"] == [
        {"prompt": CALIBRATION_PROMPTS[0], "seed": 5000},
        {"prompt": CALIBRATION_PROMPTS[1], "seed": 5001},
    ]
    assert (job["most_leak"], job["sign"], job["lora"]) == (0.1, 1, "lora.0")
    assert [job[name] for name in ("chain", "pairs")] == [swept[name] for name in ("chain", "pairs")]
    assert not set(CALIBRATION_PROMPTS) & {*PROMPTS, *OTHER_PROMPTS}


@pytest.mark.parametrize(
    ("settings", "source"),
    [
        ({}, "resize/outline"),
        ({"project__end": "edit_lora"}, "merge/outline"),
        ({"project__method": "difference"}, "svd/outline"),
    ],
)
def test_it_comes_after_all_that_changes_the_lora_and_before_all_that_looks_at_it(recipe, settings, source):
    made = plan(recipe(**settings, sweep__control=True))
    assert [one.step for one in made.step("calibrate/outline").inputs if one.role == "lora"] == [source]
    for after in ("sweep/outline", "publish/outline"):
        assert [one.step for one in made.step(after).inputs if one.role == "lora"] == ["calibrate/outline"]


def test_the_memo_s_sign_takes_the_edit_away(recipe, tmp_path):
    made = recipe(project__method="difference", difference__sign="memo")
    assert job_of(plan(made).step("calibrate/outline"), tmp_path)["sign"] == -1


def test_a_typed_gain_needs_no_pictures(recipe, tmp_path):
    step = plan(recipe(calibrate__gain=2.5)).step("calibrate/outline")
    words = words_of(step, tmp_path)
    flags = flags_of(words)
    assert words[:2] == ["lib_copier.lora", "merge"] and "--sd_model" not in flags
    assert (flags["--models"], flags["--ratios"]) == (["lora.0"], ["2.5"])
    assert flags["--save_precision"] == ["fp16"]
    assert plan(recipe(calibrate__gain=1.0)).step("calibrate/outline").same_as == "resize/outline"


def test_its_settings_change_it_alone(recipe):
    for name, value in (("pairs", 3), ("prompts", ("a",)), ("seed", 5), ("most_leak", 0.2)):
        assert others(plan(recipe()), plan(recipe(**{f"calibrate__{name}": value}))) == {"calibrate/outline"}


@pytest.mark.parametrize("gain", [None, 2.5, 1.0])
def test_what_is_published_is_the_calibrated_lora(project, gain):
    made = project(calibrate__gain=gain)
    made.run()
    assert set(states(made).values()) == {"done"}
    calibrated, resized = (made.file(f"{kind}/outline").read_bytes() for kind in ("calibrate", "resize"))
    assert (calibrated == resized) is (gain == 1.0)
    result = made.artifact("calibrate/outline").result
    assert ("bound" in result) is (gain is None)
    if gain is None:
        stored = json.loads(made.file("calibrate/outline", "result.json").read_text())
        assert stored["gain"] == result["gain"]
