"""The score: better numbers never lower it, and the order follows the words."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lib_copier.settings.goals import CopierGoal, SliderGoal, SurvivalGoal
from lib_copier.study.score import MEASURED, MISSED, PRUNED, Outcome, order, read_outcome, shares_of

_share = st.floats(0, 1)


def test_a_perfect_slider_has_every_share_whole():
    perfect = {"rank_correlation": 1.0, "strength": 1.0, "leak": 0.0, "fidelity": 1.0, "rest": 0.0}
    assert set(shares_of(SliderGoal(), perfect).values()) == {1.0}
    turned = {**perfect, "rank_correlation": -1.0, "strength": -1.0}
    assert set(shares_of(SliderGoal(sign=-1), turned).values()) == {1.0}
    assert shares_of(SliderGoal(), {"rank_correlation": float("nan")}) == {
        "follows": 0,
        "strength": 0,
        "leak": 0,
    }
    assert shares_of(SliderGoal(), {**perfect, "leak": 0.25, "rest": 40.0})["leak"] == 0.0


@given(_share, _share, st.floats(0, 0.25), st.floats(0, 20))
def test_better_numbers_never_score_less(follows, strength, leak, rest):
    def total(**measured: float) -> float:
        return sum(shares_of(SliderGoal(), measured).values())

    worse = total(rank_correlation=follows, strength=strength, leak=leak, rest=rest)
    better = (follows + 1) / 2, (strength + 1) / 2, leak / 2, rest / 2
    names = ("rank_correlation", "strength", "leak", "rest")
    assert total(**dict(zip(names, better, strict=True))) >= worse


def test_a_copier_scores_by_its_worst_print_beside_what_is_wanted():
    def copied(worst: float) -> float:
        return shares_of(CopierGoal(), {"psnr_db": {"min": worst, "ceiling": 40.0}})["copied"]

    assert (copied(24.0), copied(34.0), copied(9.0)) == (0.5, 1.0, 0.0)
    assert shares_of(CopierGoal(), {}) == {"copied": 0.0}
    assert shares_of(SurvivalGoal(), {"share": 0.7}) == {"kept": 0.7}


def test_the_word_comes_before_the_score_and_the_score_before_the_time():
    good = Outcome(MEASURED, 0.8, "good", "whole", 9.0)
    found = [
        good,
        replace(good, score=0.7),
        replace(good, score=0.7, seconds=10.0),
        replace(good, score=0.99, word="usable"),
        replace(good, score=0.99, word="not yet"),
        replace(good, state=PRUNED, word="", score=1.0),
        Outcome(MISSED, reason="it copies nothing"),
    ]
    assert sorted(reversed(found), key=order) == found


def test_an_outcome_comes_back_from_its_record_and_another_thing_does_not():
    outcome = Outcome(MEASURED, 0.8, "good", "whole", 9.0, {"sweep/a": {"leak": 1.0}})
    assert read_outcome(outcome.to_json()) == outcome
    for broken in ({}, [], {**outcome.to_json(), "state": "x"}, {**outcome.to_json(), "more": 1}):
        assert read_outcome(broken) is None
