"""What counts as reached: bars, shortfalls in words, and numbers that are none."""

from __future__ import annotations

import math

import pytest

from lib_copier.settings.goals import UNMEASURED, CopierGoal, SliderGoal, SurvivalGoal

GOOD = {"rank_correlation": 0.98, "strength": 1.0, "leak": 0.01, "rest": 4.0}


@pytest.mark.parametrize(
    ("worst", "ceiling", "wanted"),
    [(24.0, 60.0, None), (23.9, 60.0, "24.0"), (21.0, 29.0, None), (20.9, 29.0, "21.0"), (9.0, 16.0, None)],
)
def test_a_copier_is_judged_by_its_worst_print_and_the_ceiling(worst, ceiling, wanted):
    found = CopierGoal()({"psnr_db": {"median": 40.0, "min": worst, "ceiling": ceiling}})
    assert [f"{wanted} dB wanted" in phrase for phrase in found] == ([] if wanted is None else [True])


def test_an_edit_is_judged_by_what_the_vae_keeps():
    assert SurvivalGoal()({"share": 0.3}) == ()
    assert SurvivalGoal(0.5)({"share": 0.04}) == ("the VAE keeps 4% of the edit, 50% wanted",)
    assert SurvivalGoal()({"share": -0.2}) == ("the VAE keeps 0% of the edit, 30% wanted",)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, []),
        ({"rank_correlation": 0.2}, ["it follows its weight by 0.20, 0.90 wanted"]),
        ({"rest": 25.04}, ["it changes 25.0 levels beside the edit, at most 20.0 wanted"]),
        ({"rest": None}, []),
        ({"strength": 0.1, "leak": -0.4}, ["weight 1 gives 0.10", "it leaks -0.40"]),
        ({"strength": -1.0, "rank_correlation": -0.98}, ["it follows its weight by -0.98", "weight 1 gives"]),
    ],
)
def test_a_slider_is_judged_by_each_of_its_numbers(changed, told):
    found = SliderGoal()({**GOOD, **changed})
    assert len(found) == len(told)
    assert all(phrase.startswith(one) for phrase, one in zip(found, told, strict=True))


def test_a_slider_that_is_meant_to_take_away_has_the_other_sign():
    takes_away = {**GOOD, "rank_correlation": -0.98, "strength": -1.0}
    assert SliderGoal(sign=-1)(takes_away) == () and SliderGoal(sign=-1)(GOOD)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({}, "good"),
        ({"rest": None}, "good"),
        ({"rest": 12.0}, "usable"),
        ({"leak": 0.1}, "usable"),
        ({"strength": 0.6}, "usable"),
        ({"rank_correlation": 0.92}, "usable"),
        ({"rest": 30.0}, "not yet"),
        ({"leak": 0.4}, "not yet"),
    ],
)
def test_one_word_for_all_numbers(changed, word):
    assert SliderGoal().score({**GOOD, **changed}) == word


def test_the_word_keeps_to_the_recipes_own_bars_and_sign():
    assert SliderGoal(rest=3.0).score(GOOD) == "not yet"
    assert SliderGoal(sign=-1).score({**GOOD, "rank_correlation": -0.98, "strength": -1.0}) == "good"


@pytest.mark.parametrize("junk", [None, "x", True, math.nan, math.inf, [], {}])
def test_what_is_no_number_is_no_success(junk):
    assert CopierGoal()({"psnr_db": junk}) == (UNMEASURED,)
    assert CopierGoal()({"psnr_db": {"min": junk, "ceiling": 30.0}}) == (UNMEASURED,)
    assert SurvivalGoal()({"share": junk}) == (UNMEASURED,)
    assert SliderGoal()({**GOOD, "leak": junk}) == (UNMEASURED,)
