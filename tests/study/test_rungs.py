"""Rungs: what is done of a variant, and what of one from outside cannot be used."""

from __future__ import annotations

import pytest

from lib_copier.errors import FaultsError
from lib_copier.steps.plan import plan
from lib_copier.study.rungs import read_rungs, usual_rungs


def test_each_usual_rung_does_more(recipe):
    base = recipe(sweep__pairs=8)
    first, look, whole = usual_rungs(base)
    steps = [{step.id for step in rung.of(plan(rung.recipe(base)))} for rung in (first, look, whole)]
    assert "sweep/outline" not in steps[0] and {"check/one", "survival/one/outline"} <= steps[0]
    assert steps[0] < steps[1] == steps[2]
    assert (look.recipe(base).get("sweep.pairs"), whole.recipe(base)) == (4, base)
    assert [rung.name for rung in usual_rungs(recipe(sweep__pairs=4))] == ["copier", "whole"]


def test_rungs_come_back_from_their_json(recipe):
    rungs = usual_rungs(recipe(sweep__pairs=8))
    assert read_rungs([rung.to_json() for rung in rungs], recipe()) == rungs


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "no list of 1 to"),
        ([{"name": "a"}], "an object of name, until and set"),
        ([{"name": "", "until": ["check"], "set": {}}], "has no name"),
        ([{"name": "a", "until": ["publish"], "set": {}}], "until is a list of survival, check, sweep"),
        ([{"name": "a", "until": ["check"], "set": {"copier.steps": -1}}], "copier.steps is a whole number"),
        ([{"name": "a", "until": ["check"], "set": {}}] * 2, "two of them have one name"),
    ],
)
def test_what_is_no_rung_is_told(recipe, given, told):
    with pytest.raises(FaultsError, match=told):
        read_rungs(given, recipe())
