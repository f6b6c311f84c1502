"""The rule of retouching: sought where there are pairs enough to tell one, and given to all that measure."""

from __future__ import annotations

import pytest

from lib_copier.recipe.model import Edit, Effect
from lib_copier.steps.plan import plan
from tests.steps.looks import job_of

METHODS = ("copier", "difference", "pairs")


@pytest.fixture
def retouched(recipe):
    def make(*origins: str, files=None, effects=(), **settings):
        made = recipe(origins=origins, edits=(), **settings)
        named = tuple((name, f"{name}.png") for name in (origins if files is None else files))
        return made.with_edit(Edit("mine", effects=effects, files=named))

    return make


@pytest.mark.parametrize("method", METHODS)
def test_what_measures_a_slider_is_given_the_rule(retouched, method, tmp_path):
    steps = plan(retouched("one", "two", project__method=method, calibrate__gain=None))
    job = job_of(steps.step("rule/mine"), tmp_path)
    assert len(job["pairs"]) == 2 and job["pairs"][1] == {"origin": "origin.1", "edited": "edited.1"}
    for judged in ("calibrate/mine", "sweep/mine"):
        assert "rule/mine" in steps.step(judged).follows
        assert job_of(steps.step(judged), tmp_path)["rule"] == "rule.0"


@pytest.mark.parametrize("method", METHODS)
def test_effects_under_retouched_copies_make_nothing_and_measure_nothing(retouched, method, tmp_path):
    made = retouched("one", "two", effects=(Effect("outline"),), project__method=method)
    steps, plain = plan(made), plan(retouched("one", "two", project__method=method))
    assert "rule/mine" in steps and job_of(steps.step("sweep/mine"), tmp_path)["chain"] == []
    assert [(step.id, step.params) for step in steps] == [(step.id, step.params) for step in plain]
    assert made.edit("mine").effects, "there to go back to"


def test_it_is_sought_in_two_pairs_or_more_made_by_hand(retouched, tmp_path):
    outline = (Effect("outline"),)
    none = [
        retouched("one"),
        retouched("one", "two", edit__find_rule=False),
        retouched("one", "two", files=["one"]),
        retouched("one", "two", files=[], effects=outline),
        retouched("one", "two", files=["one"], effects=outline),
    ]
    for made in none:
        steps = plan(made)
        assert "rule/mine" not in steps
        assert "rule" not in job_of(steps.step("sweep/mine"), tmp_path)
