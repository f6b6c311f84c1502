"""The running mean: between the weights that went in, and in their place only for as long as asked."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.train.average import RunningMean


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60))
def test_it_lies_between_the_weights_it_has_seen(values):
    weight = torch.full((2,), values[0])
    mean = RunningMean([weight])
    for value in values:
        weight.fill_(value)
        mean.add()
    low, high = min(values), max(values)
    slack = 1e-4 * (1 + abs(low) + abs(high))
    assert low - slack <= mean.means[0][0].item() <= high + slack


def test_it_forgets_where_it_began_and_calms_a_swing():
    weight = torch.tensor([1000.0])
    mean = RunningMean([weight])
    for step in range(400):
        weight.fill_(3.0 + (-1) ** step)
        mean.add()
    assert abs(mean.means[0].item() - 3.0) < 0.05
    weight.fill_(-7.0)
    mean.begin()
    assert mean.means[0].item() == -7.0 and mean.steps == 0


def test_it_takes_the_weights_place_and_gives_it_back():
    weight = torch.tensor([1.0], requires_grad=True)
    mean = RunningMean([weight])
    with torch.no_grad():
        weight.fill_(2.0)
    with mean.in_place():
        assert weight.item() == 1.0
    with mean.in_place([torch.tensor([5.0])]):
        assert weight.item() == 5.0
    assert weight.item() == 2.0
