"""The control: the edited pictures learned the ordinary way, and looked at as the slider is."""

from __future__ import annotations

import json

import pytest

from lib_copier.steps.plan import plan
from tests.steps.looks import command_of, job_of, others

IDS = {"control_lora/outline", "control_resize/outline", "control/outline"}


def test_it_is_there_where_it_is_wanted_and_touches_nothing_else(recipe):
    without, having = plan(recipe()), plan(recipe(sweep__control=True))
    assert others(without, having) == IDS
    assert not IDS & {step.id for step in plan(recipe(sweep__control=True, sweep__enabled=False))}


@pytest.mark.parametrize(("method", "group"), [("copier", "edit_lora"), ("difference", "copier")])
def test_it_is_trained_as_the_edit_is_but_the_ordinary_way(recipe, method, group):
    settings = {f"{group}__steps": 33, f"{group}__other_prompt_share": 0.5, f"{group}__conv_rank": 4}
    made = plan(recipe(**settings, sweep__control=True, project__method=method))
    params = dict(made.step("control_lora/outline").params)
    assert params["steps"] == 33
    assert (params["other_prompt_share"], params["conv_rank"]) == (0.0, None)
    assert params["layers"] == () and params["other_prompts"] == ()


def test_it_learns_the_edited_pictures_of_all_origins_on_the_bare_base_model(recipe, tmp_path):
    for number in range(2):
        (tmp_path / f"caption.{number}").write_text("")
    made = plan(recipe(origins=("one", "two"), sweep__control=True))
    step = made.step("control_lora/outline")
    job = job_of(step, tmp_path)
    assert [picture["path"] for picture in job["pictures"]] == ["picture.0", "picture.1"]
    assert job["base_loras"] == [] and not [one for one in step.follows if one.startswith("copier")]


@pytest.mark.parametrize(("method", "like"), [("copier", "edit_lora"), ("difference", "edited_copier")])
def test_it_has_the_rates_and_the_length_of_what_it_is_compared_with(recipe, tmp_path, method, like):
    (tmp_path / "caption.0").write_text("")
    step = plan(recipe(sweep__control=True, project__method=method)).step("control_lora/outline")
    turns = [{"step": 0, "rate": 2e-3, "back_to": 0}]
    results = {f"{like}/one/outline": {"steps": 120, "kept_step": 75, "turns": turns}}
    ((_, text),) = command_of(step, tmp_path, results).files
    job = json.loads(text)
    assert (job["turns"], job["stop_after"], job["find_rate"]) == (turns, 75, False)


def test_three_weights_of_the_same_pictures_show_it(recipe, tmp_path):
    made = plan(recipe(sweep__control=True, sweep__pairs=2, sweep__weight_max=1.0))
    job = job_of(made.step("control/outline"), tmp_path)
    assert job["weights"] == [-1.0, 0.0, 1.0] and job["plain"] == ["plain.0", "plain.1"]
    slider = job_of(made.step("sweep/outline"), tmp_path)
    assert slider["prompts"] == job["prompts"] and slider["plain"] == []
    taken = [one.output for one in made.step("control/outline").inputs if one.role == "plain"]
    assert all("+0.00" in name for name in taken) and len(set(taken)) == 2
    (lora,) = [one for one in made.step("control/outline").inputs if one.role == "lora"]
    assert lora.step == "control_resize/outline"
