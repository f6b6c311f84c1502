"""The search for a learning rate, on losses that are known as functions of it."""

from __future__ import annotations

import math

import pytest

from lib_copier.train.rate import search

BEST, TURN = 4e-3, 1.8e-2


class Valley:
    """A loss that steps lower by as much as their rate allows, and that too high a rate throws up."""

    def __init__(self, turn: float, scale: float = 1.0) -> None:
        self.turn, self.scale, self.left = turn, scale, 1.0
        self.rates: list[float] = []

    def step(self, number: int, rate: float) -> None:
        assert number == len(self.rates), "steps are counted from 0 without a gap"
        self.rates.append(rate)
        self.left = self.left * 50.0 if rate > self.turn else self.left * (1 - min(0.5, 40.0 * rate))

    def loss(self) -> float:
        return self.scale * self.left


@pytest.mark.parametrize("factor", [0.03, 0.1, 1.0, 10.0, 30.0])
def test_the_rate_is_found_from_a_start_far_off(factor):
    found = []
    for start in (BEST, BEST * factor):
        valley = Valley(TURN)
        test, taken = search(start, valley.step, valley.loss)
        found.append(test.found)
        assert taken == len(valley.rates) < 60
        assert valley.rates == sorted(valley.rates) and valley.rates[0] == pytest.approx(start / 100)
        assert TURN / 8 < test.found < TURN / 2
    assert 0.6 < found[1] / found[0] < 1.7


def test_the_loss_s_size_does_not_matter():
    small, large = Valley(TURN, 1e-6), Valley(TURN, 1e3)
    assert search(BEST, small.step, small.loss)[0].found == search(BEST, large.step, large.loss)[0].found


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_it(lost):
    losses = iter([1.0, 0.9, 0.5, 0.4, lost])
    test, taken = search(1.0, lambda number, rate: None, lambda: next(losses))
    assert test.is_over and test.found == pytest.approx(test.losses[-1][0] / 4, rel=0.01)


def test_where_nothing_is_learned_no_rate_is_found():
    test, taken = search(1e-3, lambda number, rate: None, lambda: 1.0)
    assert test.found is None and test.losses[-1][0] > 5 and taken < 40
