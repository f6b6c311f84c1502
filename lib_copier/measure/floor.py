"""A LoRA that knows nothing: random factors with the norms of another, to measure what such a change does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lib_copier.lora.file import read_adapter, write_lora
from lib_copier.lora.layer import Adapter, Layer, Lora, layer_from_factors

FLOOR_PICTURES = 4
"""Pictures made with it: a floor is a rough number, and the slider's own pictures are what costs time."""


def random_like(adapter: Adapter, seed: int = 0) -> Lora:
    """Every plain layer's shapes, rank and Frobenius norm with normal factors; the same for the same seed.

    Layers of other kinds have no counterpart: they are left out.
    """
    random = np.random.default_rng(seed)
    layers = {}
    for name, layer in adapter.layers.items():
        if not isinstance(layer, Layer):
            continue
        up, down = layer.factors()
        size = abs(layer.scale) * product_norm(up, down)
        new_up, new_down = (np.asarray(random.standard_normal(part.shape)) for part in (up, down))
        share = (size / product_norm(new_up, new_down)) ** 0.5
        layers[name] = layer_from_factors(
            share * new_up, share * new_down, layer.weight_shape, alpha=float(len(down))
        )
    return Lora(layers, {}, adapter.family)


def product_norm(up: np.ndarray, down: np.ndarray) -> float:
    """‖up · down‖ (Frobenius) from the factors' Gram matrices, without the product itself."""
    return float(max(np.vdot(up.T @ up, down @ down.T), 0.0)) ** 0.5


def write_random_like(path: Path, folder: Path) -> Path | None:
    """Write a random counterpart of the LoRA at `path` into a folder; None where it has no plain layer."""
    lora = random_like(read_adapter(path))
    if not lora.layers:
        return None
    target = folder / "random.safetensors"
    write_lora(lora, target, "float")
    return target
