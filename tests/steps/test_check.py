"""The copier check: the copier model, the origin, and pictures of prompts that it never saw."""

from __future__ import annotations

import pytest

from lib_copier.settings.goals import CopierGoal
from lib_copier.steps.plan import plan
from lib_copier.steps.prompts import PROMPTS
from tests.steps.looks import job_of, others


def test_its_job_names_the_copier_model_and_the_pictures(recipe, tmp_path):
    made = recipe(check__pairs=2, check__seed=7, copier_model__weight=0.9, check__steps=20)
    job = job_of(plan(made).step("check/one"), tmp_path)
    assert job == {
        "job": "copier-check",
        "checkpoint": "checkpoint.0",
        "vae": None,
        "prediction": "auto",
        "base_loras": [{"path": "base_lora.0", "weight": 0.9}],
        "device": "auto",
        "prompts": [{"prompt": PROMPTS[0], "seed": 7}, {"prompt": PROMPTS[1], "seed": 8}],
        "sampling": {
            "negative_prompt": "",
            "steps": 20,
            "cfg_scale": 7.0,
            "sampler": job["sampling"]["sampler"],
            "clip_skip": 1,
        },
        "origin": "origin.0",
        "output": "out",
    }


def test_of_method_b_the_copier_is_checked_as_well(recipe):
    step = plan(recipe(project__method="difference")).step("check/one")
    assert set(step.follows) == {"origin/one", "copier/one"}


def test_it_can_be_left_out_and_its_settings_change_it_alone(recipe):
    without = plan(recipe(check__enabled=False))
    assert "check/one" not in without and "check.enabled is off" in without.step("copier/one").note
    for name, value in (("pairs", 3), ("prompts", ("a",)), ("sampler", "DDIM"), ("seed", 5)):
        assert others(plan(recipe()), plan(recipe(**{f"check__{name}": value}))) == {"check/one"}


def test_another_bar_judges_the_same_prints_anew(recipe):
    strict = recipe(check__goal_db=3.0, check__enough_db=30.0)
    assert not others(plan(recipe()), plan(strict))
    assert plan(strict).step("check/one").goal == CopierGoal(3.0, 30.0)


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_the_device_is_told_and_is_no_part_of_the_key(recipe, tmp_path, device):
    there = plan(recipe(project__device=device))
    assert not others(plan(recipe()), there)
    assert job_of(there.step("check/one"), tmp_path)["device"] == device
