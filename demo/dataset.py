"""A set of drawn scenes in memory: pictures and captions, the same for the same seed."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scenes import draw_scene

_CHUNK = 250


def _draw_chunk(seed: tuple[int, int], usual: str) -> tuple[np.ndarray, list[list[str]]]:
    rng = np.random.default_rng(seed)
    scenes = [draw_scene(rng, usual) for _ in range(_CHUNK)]
    return np.stack([picture for picture, _ in scenes]), [tags for _, tags in scenes]


def draw_set(count: int, seed: int = 0, usual: str = "soft") -> tuple[np.ndarray, list[list[str]]]:
    """`count` pictures (rounded up to 250s), (N, 128, 128, 3) uint8, and their tags; `usual` as in scenes."""
    chunks = -(-count // _CHUNK)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        seeds = [(seed, index) for index in range(chunks)]
        drawn = list(pool.map(_draw_chunk, seeds, [usual] * chunks))
    return np.concatenate([pictures for pictures, _ in drawn]), [tags for _, chunk in drawn for tags in chunk]
