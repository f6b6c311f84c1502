"""Recorded steps: no trace of the warm-up, few recordings, and plain steps where none can be made."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
import torch

from lib_copier.train.feed import Feed
from lib_copier.train.graph import _MOST_RECORDINGS, RecordedStep
from lib_copier.train.loop import _set_learning_rate
from lib_copier.train.prepare import prepare
from lib_copier.train.step import Batch, StepResult


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
        _set_learning_rate(run, config.learning_rate, config.learning_rate)
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


class _Step:
    """Counts its plain runs; what it is asked to record it plays at once."""

    def __init__(self) -> None:
        self.runs = 0
        self.network = SimpleNamespace(clear_gradients=lambda: None)

    def __call__(self, batch: Batch) -> StepResult:
        self.runs += 1
        return StepResult(batch.latents.sum(), torch.zeros(()))

    def changing_tensors(self) -> list[torch.Tensor]:
        return []


@pytest.fixture
def played_graphs(no_streams, monkeypatch):
    """CUDA graphs of a machine without a GPU: notes the pool of each recording."""
    pools: list[object] = []

    class Graph:
        def replay(self) -> None:
            pass

    def graph(made: Graph, pool: object) -> contextlib.AbstractContextManager[None]:
        pools.append(pool)
        return contextlib.nullcontext()

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    return pools


def _batch(width: int) -> Batch:
    one = torch.ones(1, 4, 8, width)
    return Batch(one, one, torch.tensor([1]), torch.tensor([0]))


def test_recordings_share_a_pool_and_the_oldest_gives_way(played_graphs):
    step = RecordedStep(_Step())
    widths = range(8, 8 + _MOST_RECORDINGS)
    for width in [*widths, *widths]:
        step(_batch(width))
    assert len(played_graphs) == _MOST_RECORDINGS and len(set(played_graphs)) == 1
    step(_batch(8))  # Used again, so that 9 is the oldest.
    step(_batch(100))
    assert len(step._recordings) == _MOST_RECORDINGS
    step(_batch(8))
    assert len(played_graphs) == _MOST_RECORDINGS + 1
    step(_batch(9))
    assert len(played_graphs) == _MOST_RECORDINGS + 2


def test_what_cannot_be_recorded_runs_plainly_and_says_so_once(played_graphs, monkeypatch):
    def fail(made: object, pool: object) -> None:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "graph", fail)
    plain, told = _Step(), []
    step = RecordedStep(plain, told.append)
    warm_up = 3
    for expected in (1, 2, 3):
        assert step(_batch(8)).loss == 256
        assert plain.runs == warm_up + expected
    assert len(told) == 1 and "not permitted when stream is capturing" in told[0]
