"""Bytes of living tensors: saved for the backward pass, let go, and shared ones, with contents or without."""

from __future__ import annotations

import pytest
import torch

from benchmarks import memory
from benchmarks.live_tensors import LiveTensors

SQUARE = 100 * 100 * 4


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_autograd_keeps_counts_until_it_is_let_go(device):
    weight = torch.empty(100, 100, device=device, requires_grad=True)
    live = LiveTensors()
    assert live.add([weight, weight.detach()]) == SQUARE
    with live:
        hidden = torch.sigmoid(weight @ weight)
        assert live.now == 2 * SQUARE  # The product itself is gone, sigmoid keeps its answer.
        loss = (hidden @ weight).sum()
        del hidden
        assert live.now == 2 * SQUARE + 4
        loss.backward()
        del loss
    assert live.now == 2 * SQUARE  # The weight and its gradient.
    assert live.peak >= 4 * SQUARE


def test_recomputing_takes_less_memory_and_nothing_is_less_than_its_weights(tmp_path, capsys):
    target = tmp_path / "memory.json"
    assert memory.main(["--family", "sd1", "--size", "64", "--rank", "4", "--json", str(target)]) == 0
    again, kept = memory.json.loads(target.read_text())
    assert again["gradient_checkpointing"] and not kept["gradient_checkpointing"]
    assert again["peak_mib"] < kept["peak_mib"]
    # 859.5 million weights of two bytes.
    assert again["parts_mib"]["U-Net"] == 1639 and again["peak_mib"] > 1639
    assert "U-Net 1639" in capsys.readouterr().out
