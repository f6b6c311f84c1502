"""Learning-rate schedules: a step's share of the learning rate, as a pure function."""

from __future__ import annotations

import math


def lr_factor(scheduler: str, step: int, steps: int, warmup_steps: int) -> float:
    """The factor on the learning rate at `step` (counted from 0), in [0, 1].

    Rises linearly from 0 over the warm-up (so the very first step of a warm-up changes nothing, as in
    the schedules of sd-scripts), then stays (``constant``) or falls to 0 at `steps` (``linear``, ``cosine``).
    """
    if step < warmup_steps:
        return step / warmup_steps
    if scheduler == "constant":
        return 1.0
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    if scheduler == "linear":
        return max(0.0, 1.0 - done)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
