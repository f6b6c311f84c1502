"""Recording a step leaves no trace in the run: the warm-up's moves are taken back."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
import torch

from lib_copier.train.feed import Feed
from lib_copier.train.graph import RecordedStep
from lib_copier.train.loop import _set_learning_rate
from lib_copier.train.prepare import prepare


@pytest.fixture
def no_streams(monkeypatch):
    """Side streams of a machine without a GPU: work runs at once, in order."""
    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda chosen: contextlib.nullcontext())


@pytest.mark.parametrize("steps_before", [0, 2])
def test_the_warm_up_is_taken_back(make_config, no_streams, steps_before):
    config = make_config(steps=8)
    losses = []
    for warms_up in (False, True):
        run = prepare(config, log=print)
        feed = Feed(config, run)
        _set_learning_rate(run, 1.0)
        for number in range(steps_before):
            run.step(feed.batch(number))
        if warms_up:
            RecordedStep(run.step)._warm_up(feed.batch(steps_before))
        later = range(steps_before, steps_before + 3)
        losses.append([run.step(feed.batch(number)).loss.item() for number in later])
        losses.append([master.detach().clone() for master in run.step.network.masters])
    plain_losses, plain, losses, masters = losses
    assert losses == plain_losses
    assert all(torch.equal(a, b) for a, b in zip(plain, masters, strict=True))
