"""Losses come back in order; on a processor at once."""

from __future__ import annotations

import torch

from lib_copier.train.readback import Readback
from lib_copier.train.step import StepResult


def test_on_a_processor_every_step_comes_straight_back():
    readback = Readback(torch.device("cpu"))
    (one,) = readback.push(3, StepResult(torch.tensor(0.5), torch.tensor(1.0)))
    assert (one.step, one.loss, one.was_skipped) == (3, 0.5, True)
    assert readback.drain() == []
