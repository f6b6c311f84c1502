"""One layer: a weighted sum of products becomes a LoRA layer of a chosen rank, with its error told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib_copier.errors import InputError
from lib_copier.lora.device import CPU, Device
from lib_copier.lora.layer import Layer, WeightChange, layer_from_factors
from lib_copier.lora.lowrank import (
    ChooseRank,
    best_factors,
    product_energy,
    singular_values,
    squared_distance,
    stack,
)
from lib_copier.lora.precision import Array, as_float32, as_float64, stored_as
from lib_copier.lora.rangefinder import Leading, leading_part
from lib_copier.lora.report import LayerResult

_RUN_ROWS = 1024
# Directions below the edge are left out as long as they hold no more than this of the energy.
_NEGLIGIBLE = 1e-6

_LARGEST_WEIGHT = 1e9
"""Far beyond any LoRA's, and sums of squares stay within float32."""


@dataclass(frozen=True)
class Term:
    """One summand of a layer: a LoRA's layer and the weight it acts with, its scale not included.

    Raises
    ------
    InputError
        Where both together are larger than any change of a model.
    """

    layer: WeightChange
    ratio: float = 1.0

    def __post_init__(self) -> None:
        if not abs(self.weight) <= _LARGEST_WEIGHT:
            raise InputError(
                f"A layer would act {self.weight:g} times (alpha / rank, times the weight given).",
                "Give a smaller weight, or a LoRA with a sound alpha.",
            )

    @property
    def weight(self) -> float:
        """ratio · alpha / rank: what up·down is multiplied by."""
        return self.ratio * self.layer.scale


def best_layer(
    name: str,
    terms: Sequence[Term],
    choose_rank: ChooseRank,
    *,
    dtype: str,
    keeps_scale: bool = False,
    device: Device = CPU,
) -> tuple[Layer, LayerResult]:
    """The best layer of a chosen rank for Σ ratio · scale · up · down.

    The strength sits in the factors, balanced, and alpha is the rank. With `keeps_scale` (of one
    term) alpha / rank stays what it was instead, as sd-scripts' resize does.

    Parameters
    ----------
    dtype:
        The safetensors type that the file will have; rounding to it counts into the error.
    """
    outside = terms[0].weight if keeps_scale and terms[0].weight else 1.0
    up, down = _stacked(terms, outside, device)
    found = best_factors(up, down, choose_rank, device.xp)
    new_up, new_down = (stored_as(device.get(half), dtype) for half in (found.up, found.down))
    layer = layer_from_factors(new_up, new_down, terms[0].layer.weight_shape, alpha=outside * found.rank)
    result = LayerResult(
        name=name,
        old_rank=sum(term.layer.rank for term in terms),
        rank=found.rank,
        energy=found.energy * outside**2,
        squared_error=outside**2 * _distance(up, down, new_up, new_down, found.energy, device),
        cut=found.cut_energy * outside**2,
        singular_values=[abs(outside) * value for value in found.singular_values],
    )
    return layer, result


def exact_layer(
    name: str, terms: Sequence[Term], *, dtype: str, device: Device = CPU
) -> tuple[Layer, LayerResult]:
    """The whole sum as one layer of the least rank that holds it exactly.

    Where no rank can be saved, the factors stand side by side as they were: with equal weights not
    a bit of them changes.
    """
    total = sum(term.layer.rank for term in terms)
    values = singular_values(*_stacked(terms, 1.0, device), device.xp)
    if len(values) < total:
        return best_layer(name, terms, len, dtype=dtype, device=device)
    strongest = max(abs(term.weight) for term in terms)
    up, down = _stacked(terms, strongest, CPU)
    new_up, new_down = stored_as(up, dtype), stored_as(down, dtype)
    layer = layer_from_factors(new_up, new_down, terms[0].layer.weight_shape, alpha=strongest * total)
    energy = product_energy(up, down)
    squared = _distance(up, down, new_up, new_down, energy, CPU)
    return layer, LayerResult(
        name,
        total,
        total,
        energy * strongest**2,
        squared * strongest**2,
        singular_values=values,
    )


def dense_layer(
    name: str,
    matrix: Array,
    shape: tuple[int, ...],
    limit: int,
    *,
    dtype: str,
    device: Device = CPU,
    edge: float = 0.0,
) -> tuple[Layer, LayerResult]:
    """The best layer of a rank up to `limit` for a whole change, a float32 matrix of a weight of `shape`.

    Trailing directions weaker than `edge` are left out as long as they hold next to nothing.
    """
    rows, width = matrix.shape
    found = leading_part(device.put(matrix), min(limit, rows, width), device.xp)
    rank = _rank_above(found, edge)
    roots = np.sqrt(np.asarray(found.values[:rank], np.float32))
    up = stored_as(device.get(found.left[:, :rank]) * roots, dtype)
    down = stored_as(device.get(found.right[:rank]) * roots[:, None], dtype)
    squared, wide = 0.0, as_float32(down)
    for first in range(0, rows, _RUN_ROWS):
        part = slice(first, first + _RUN_ROWS)
        left = (matrix[part] - as_float32(up[part]) @ wide).reshape(-1)
        squared += float(np.dot(left, left))
    captured = math.fsum(value * value for value in found.values[:rank])
    result = LayerResult(
        name=name,
        old_rank=min(rows, width),
        rank=rank,
        energy=found.energy,
        squared_error=squared,
        cut=max(0.0, found.energy - captured),
        singular_values=found.values,
    )
    return layer_from_factors(up, down, shape, alpha=float(rank)), result


def _rank_above(found: Leading, edge: float) -> int:
    rank, dropped = len(found.values), 0.0
    while rank > 1 and found.values[rank - 1] < edge:
        dropped += found.values[rank - 1] ** 2
        if dropped > _NEGLIGIBLE * found.energy:
            break
        rank -= 1
    return rank


def _stacked(terms: Sequence[Term], outside: float, device: Device) -> tuple[Array, Array]:
    products = []
    for term in terms:
        up, down = term.layer.factors()
        products.append((device.put(up), device.put(down), term.weight / outside))
    up, down = stack(products, device.xp)
    return up, down


def _distance(up: Array, down: Array, new_up: Array, new_down: Array, energy: float, device: Device) -> float:
    """The squared error of the stored factors; equal factors have none at all."""
    stored_up, stored_down = as_float64(new_up), as_float64(new_down)
    if device.is_cpu and np.array_equal(up, stored_up) and np.array_equal(down, stored_down):
        return 0.0
    return squared_distance(up, down, device.put(stored_up), device.put(stored_down), energy)
