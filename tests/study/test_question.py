"""The question: with no pruning, the last rung is all that is climbed."""

from __future__ import annotations

import pytest

from lib_copier.errors import InputError
from lib_copier.study.axes import read_axes
from lib_copier.study.question import Question, read_question
from lib_copier.study.rungs import WHOLE, usual_rungs


def test_rungs_are_climbed_by_those_who_prune(recipe):
    base = recipe(sweep__pairs=8)
    axes = read_axes([{"address": "copier.rank", "values": [4, 8]}], base)
    asked = Question(base, axes, rungs=usual_rungs(base), reduction=3)
    assert [rung.name for rung in asked.climbed] == ["copier", "look", "whole"]
    assert Question(base, axes, rungs=usual_rungs(base)).climbed == (WHOLE,)
    assert read_question(asked.to_json(), "it") == asked
    with pytest.raises(InputError, match="One variant in 101 cannot go on"):
        Question(base, axes, reduction=101).checked()
