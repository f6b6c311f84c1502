"""What a training does after each look, by the scores and losses alone."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from lib_copier.settings.training import Turn
from lib_copier.train.steer import Steering

GOAL = 28.0


def decisions(steering: Steering, scores: list[float], first: int = 1) -> list[str]:
    steps = (25 * (place + first) for place in range(len(scores)))
    return [steering.saw(step, score, score >= GOAL) for step, score in zip(steps, scores, strict=True)]


def test_it_goes_on_while_looks_improve_and_ends_at_the_goal():
    steering = Steering(4e-3)
    assert decisions(steering, [10.0, 15.0, 20.0, 19.0, 26.0, 28.5]) == [*["on"] * 5, "reached"]
    assert steering.turns == [Turn(0, 4e-3, 0)] and (steering.best, steering.best_step) == (28.5, 150)


def test_a_plateau_goes_on_from_its_mean_with_a_lower_rate():
    steering = Steering(4e-3)
    assert decisions(steering, [10.0, 20.0, 18.0, 17.0]) == ["on", "on", "on", "back"]
    assert steering.turns[-1] == Turn(100, 2e-3, 100) and steering.rate == 2e-3
    # The next plateau is counted anew.
    assert decisions(steering, [19.0, 19.0], first=5) == ["on", "back"]


def test_small_gains_are_kept_but_no_reason_to_go_on():
    steering = Steering(4e-3)
    assert decisions(steering, [20.0, 20.2, 20.4]) == ["on", "on", "back"]
    assert (steering.best, steering.best_step) == (20.4, 75)


def test_what_reached_the_goal_is_kept_though_an_earlier_look_scored_more():
    steering = Steering(4e-3)
    steering.saw(25, 30.0, is_reached=False)
    assert steering.saw(50, 29.0, is_reached=True) == "reached" and steering.best_step == 50


def test_a_goal_reached_in_a_rush_begins_anew_at_a_lower_rate():
    steering = Steering(4e-3)
    assert steering.saw(25, 16.0, is_reached=True, least_steps=75) == "back"
    assert steering.turns[-1] == Turn(25, 1e-3, 0)
    # What was learned in the rush is forgotten: looks are compared with those of the new beginning.
    assert steering.saw(50, 5.0, is_reached=False, least_steps=75) == "on"
    assert (steering.best, steering.best_step) == (5.0, 50)
    assert steering.saw(100, 15.5, is_reached=True, least_steps=75) == "reached"


def test_a_goal_reached_soon_after_a_plateau_is_reached_in_no_rush():
    steering = Steering(4e-3)
    assert decisions(steering, [10.0, 20.0, 18.0, 17.0])[-1] == "back"
    assert steering.saw(125, 28.5, is_reached=True, least_steps=75) == "reached"


def test_a_goal_always_reached_in_a_rush_is_reached_in_the_end():
    steering = Steering(1.0)
    seen = [steering.saw(25 * look, 20.0, is_reached=True, least_steps=75) for look in range(1, 7)]
    assert seen == [*["back"] * 4, "reached", "reached"] and steering.best_step == 150


def test_a_model_that_prints_no_numbers_any_more_goes_back_to_its_best():
    steering = Steering(9e-3)
    assert decisions(steering, [10.0, 20.0, -math.inf]) == ["on", "on", "back"]
    assert steering.turns[-1].back_to == 50 and steering.rate < 4e-3


@given(st.lists(st.floats(-5, 27.9), min_size=1, max_size=60))
def test_a_goal_out_of_reach_ends_with_the_best_that_was_seen(scores):
    steering = Steering(1e-2)
    seen = decisions(steering, scores)
    cut = seen.index("spent") + 1 if "spent" in seen else len(seen)
    assert "reached" not in seen
    assert steering.best == max(scores) or cut < len(scores)
    rates = [turn.rate for turn in steering.turns]
    assert rates == sorted(rates, reverse=True) and len(rates) <= 5
    assert all(turn.back_to <= turn.step for turn in steering.turns)


def test_twenty_looks_without_a_gain_spend_it():
    assert "spent" in decisions(Steering(1e-2), [10.0] * 20)


def test_a_loss_that_climbs_is_gone_back_from_before_the_next_look():
    steering = Steering(1e-2)
    steering.saw(25, 15.0, is_reached=False)
    found = [steering.lost(step, 0.01, step) for step in range(26, 40)]
    assert set(found) == {"on"}
    climbing = [steering.lost(step, 0.01 * 1.5 ** (step - 40), step) for step in range(40, 60)]
    assert climbing.count("back") == 1 and steering.turns[-1].back_to == 25
    assert steering.rate < 1e-2 / 2.9


def test_a_loss_that_is_no_number_goes_back_and_late_ones_are_stale():
    steering = Steering(1e-2)
    assert steering.lost(30, math.nan, 44) == "back" and steering.turns[-1].step == 44
    assert [steering.lost(step, math.nan, 45) for step in (31, 44)] == ["stale", "stale"]
    assert steering.lost(45, 0.1, 45) == "on"


def test_it_goes_on_from_what_was_stored():
    whole, broken = Steering(4e-3), Steering(4e-3)
    scores = [10.0, 20.0, 18.0, 17.0, 19.0, 25.0, 24.0, 24.0, 26.0]
    decisions(whole, scores)
    decisions(broken, scores[:5])
    again = Steering.restored(json.loads(json.dumps(broken.stored())))
    decisions(again, scores[5:], first=6)
    assert again == whole


def test_a_goal_raised_after_the_end_gives_new_turns():
    spent = Steering(1e-2)
    decisions(spent, [10.0] * 20)
    longer = Steering.restored(spent.stored()).extended()
    assert longer.saw(600, 9.0, is_reached=False) == "back"
