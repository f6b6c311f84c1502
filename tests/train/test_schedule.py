"""Learning-rate schedules: warm-up from zero, then flat or down to zero."""

from __future__ import annotations

import pytest

from lib_copier.train.schedule import lr_factor


@pytest.mark.parametrize("scheduler", ["constant", "linear", "cosine"])
def test_warm_up_rises_linearly_from_zero(scheduler):
    assert [lr_factor(scheduler, step, 100, 4) for step in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_without_warm_up_the_first_step_is_whole():
    assert lr_factor("cosine", 0, 10, 0) == 1.0


def test_constant_stays():
    assert lr_factor("constant", 99, 100, 10) == 1.0


def test_linear_and_cosine_fall_to_zero_at_the_end():
    assert lr_factor("linear", 55, 100, 10) == pytest.approx(0.5)
    assert lr_factor("cosine", 55, 100, 10) == pytest.approx(0.5)
    assert lr_factor("linear", 100, 100, 10) == 0.0
    assert lr_factor("cosine", 100, 100, 10) == pytest.approx(0.0)
    assert lr_factor("cosine", 25, 100, 0) == pytest.approx(0.853553, abs=1e-6)


def test_all_warm_up_does_not_divide_by_zero():
    assert lr_factor("cosine", 10, 10, 10) == pytest.approx(1.0)
