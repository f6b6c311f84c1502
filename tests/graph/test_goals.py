"""A missed goal holds back what waits for it, and all that needs that; everything else is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lib_copier.errors import GoalError
from lib_copier.graph.status import DONE, HELD, MISSED, MISSING, Inspector
from lib_copier.graph.step import Plan
from lib_copier.graph.store import Store
from tests.graph.conftest import step


def wants(word):
    """A goal: the step's word has to be this one."""
    return lambda result: () if result["word"] == word else (f"it says {result['word']}, {word} wanted",)


def chain(wanted="other", *, is_accepted=False):
    """``look`` judges ``a``; ``c`` reads ``b``, which waits for it; ``d`` has nothing to do with them."""
    judged = replace(step("look", "a"), goal=wants(wanted), is_accepted=is_accepted)
    waiting = replace(step("b", "a"), waits_for=("look",))
    return step("a"), judged, waiting, step("c", "b"), step("d", "a")


def states(folder, steps):
    found = Inspector(Plan(steps), Store(folder), folder, lambda name: "1").all()
    return {status.id: status.state for status in found}


def found_in(folder, steps, step_id):
    return next(s for s in Inspector(Plan(steps), Store(folder), folder, str).all() if s.id == step_id)


@pytest.mark.parametrize("at_once", [1, 3])
def test_what_waits_is_held_and_all_else_is_done(run, tmp_path, at_once):
    heard = []
    with pytest.raises(GoalError) as missed:
        run(
            *chain(), at_once=at_once, listener=heard.append, advise=lambda status: f"Mend {status.id}."
        ).run()
    assert states(tmp_path, chain()) == {"a": DONE, "look": MISSED, "b": HELD, "c": HELD, "d": DONE}
    told = "look missed its goal: it says look, other wanted. 2 steps wait for it. Mend look."
    assert str(missed.value) == told and missed.value.exit_code == 4
    assert {"id": "look", "reasons": ["it says look, other wanted"]}.items() <= next(
        event for event in heard if event["event"] == "step_missed"
    ).items()
    assert heard[-1]["event"] == "run_failed" and "look" in heard[-1]["what"]


def test_again_without_a_change_it_says_the_same_and_makes_nothing(run, tmp_path):
    for _ in range(2):
        with pytest.raises(GoalError, match="it says look, other wanted"):
            run(*chain()).run()
    heard = []
    with pytest.raises(GoalError):
        run(*chain(), listener=heard.append).run()
    assert not [event for event in heard if event["event"] == "step_started"]
    assert next(event for event in heard if event["event"] == "run_started")["steps"] == []


@pytest.mark.parametrize("settled", [chain("look"), chain(is_accepted=True)])
def test_another_bar_or_an_acceptance_lets_it_go_on_without_making_it_anew(run, tmp_path, settled):
    with pytest.raises(GoalError):
        run(*chain()).run()
    assert run(*settled).run().made == ("b", "c")
    assert set(states(tmp_path, settled).values()) == {DONE}


def test_an_acceptance_does_not_hide_what_is_lacking(run, tmp_path):
    accepted = chain(is_accepted=True)
    run(*accepted).run()
    found = found_in(tmp_path, accepted, "look")
    assert found.reasons == ("accepted although it says look, other wanted",)
    assert found.to_json()["shortfalls"] == ["it says look, other wanted"] and found.to_json()["is_accepted"]


def test_the_judge_runs_before_what_waits_for_it(run, tmp_path):
    with pytest.raises(GoalError):
        run(*Plan(chain()).up_to(["b"])).run()
    assert states(tmp_path, chain()) == {"a": DONE, "look": MISSED, "b": HELD, "c": HELD, "d": MISSING}


def test_a_held_step_cannot_be_forced_and_a_finished_one_stays(run, tmp_path):
    run(*chain("look")).run()
    with pytest.raises(GoalError):
        run(*chain()).run(force=["b"])
    assert states(tmp_path, chain()) == {"a": DONE, "look": MISSED, "b": DONE, "c": DONE, "d": DONE}
    made = [manifest["step"] for _key, manifest in Store(tmp_path).manifests()]
    assert made.count("b") == 1 and made[0] != "b"


def test_a_plan_puts_the_judge_first():
    a, judged, waiting, *_ = chain()
    with pytest.raises(ValueError, match="before a step that it follows"):
        Plan((a, waiting, judged))
