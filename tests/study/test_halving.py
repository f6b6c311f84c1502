"""Successive halving: the best go on, whatever their order."""

from __future__ import annotations

import random

import pytest

from lib_copier.study.halving import promoted
from lib_copier.study.score import BROKEN, MEASURED, PRUNED, Outcome
from lib_copier.study.variants import Variant


@pytest.mark.parametrize(
    ("count", "reduction", "left"), [(12, 3, 4), (9, 3, 3), (8, 2, 4), (2, 3, 1), (1, 3, 1)]
)
def test_the_best_of_so_many_go_on(count, reduction, left):
    numbers = list(range(1, count + 1))
    random.Random(count).shuffle(numbers)
    alive = [Variant(number, str(number), ()) for number in numbers]
    outcomes = {one.number: Outcome(MEASURED, one.number / count) for one in alive}
    found = promoted(alive, outcomes, reduction)
    assert {one.number for one in found} == set(range(count - left + 1, count + 1))
    assert sum(outcome.state == PRUNED for outcome in outcomes.values()) == count - left


def test_what_failed_neither_goes_on_nor_counts_as_pruned():
    alive = [Variant(number, str(number), ()) for number in (1, 2, 3)]
    outcomes = {1: Outcome(BROKEN), 2: Outcome(MEASURED, 0.5), 3: Outcome(MEASURED, 0.5)}
    assert [one.number for one in promoted(alive, outcomes, 2)] == [2, 3], "both have the last score"
    assert promoted(alive[:1], outcomes, 2) == () and outcomes[1].state == BROKEN
