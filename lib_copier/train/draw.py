"""What chance decides: streams that depend on a seed and a name alone, and from them a step's draws."""

from __future__ import annotations

import hashlib
import math

import numpy as np

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator of its own for every (seed, names): drawing from one never shifts another."""
    text = "\0".join(str(part) for part in (seed, *names))
    key = int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


def picture_index(seed: int, step: int, count: int) -> int:
    """The picture of a step: every picture once in each round of `count` steps, in a drawn order."""
    order = stream(seed, "picture", step // count).permutation(count)
    return int(order[step % count])


def noise(seed: int, step: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal noise of a step, float32; depends on the shape but not on what the picture shows."""
    return stream(seed, "noise", step).standard_normal(shape, dtype=np.float32)


def timesteps(
    seed: int,
    step: int,
    batch_size: int,
    low: int,
    high: int,
    sampling: str = "uniform",
    chances: np.ndarray | None = None,
) -> np.ndarray:
    """Time steps (batch_size,) int64 in [low, high).

    ``uniform`` draws them independently. ``stratified`` spreads a batch evenly over the range and moves
    its offset by the golden ratio from step to step: each is still uniform, but the mean over few
    steps varies far less.
    """
    if sampling == "uniform":
        return stream(seed, "timestep", step).integers(low, high, batch_size, dtype=np.int64)
    offset = (stream(seed, "timestep").random() + step * _GOLDEN) % 1.0
    places = (np.arange(batch_size) + offset) / batch_size
    if chances is not None:
        found = np.searchsorted(np.cumsum(chances) / chances.sum(), places, side="right")
        return np.minimum(low + found, high - 1).astype(np.int64)
    return np.minimum(low + np.floor(places * (high - low)), high - 1).astype(np.int64)
