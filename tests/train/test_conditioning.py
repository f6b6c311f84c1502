"""Captions as the U-Net reads them: computed ahead or live, the numbers are the same."""

from __future__ import annotations

import pytest
import torch

from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.train.conditioning import CachedConditioning, LiveConditioning


@pytest.mark.parametrize(("family", "clip_skip"), [("sd1", 1), ("sd1", 2), ("sdxl", 1)])
def test_both_ways_give_the_same_numbers(checkpoints, family, clip_skip):
    device = torch.device("cpu")
    loaded = load_checkpoint(checkpoints(family), device=device, dtype=torch.float32, parts=("text",))
    texts = ["a cat", "", "two birds, night"]
    cached = CachedConditioning.encode(loaded, texts, clip_skip=clip_skip, dtype=torch.float32)
    live = LiveConditioning(loaded, texts, clip_skip=clip_skip)
    rows = torch.tensor([2, 0, 2])
    (hidden, pooled), (live_hidden, live_pooled) = cached(rows), live(rows)
    assert torch.allclose(hidden, live_hidden, atol=1e-5)
    assert (pooled is None) == (live_pooled is None) == (family == "sd1")
    assert pooled is None or torch.allclose(pooled, live_pooled, atol=1e-5)
    assert torch.equal(hidden[0], hidden[2]) and not torch.equal(hidden[0], hidden[1])
