"""One LoRA layer as a value: its matrices, its alpha, and the one rule for its strength."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lib_copier.families import Family
from lib_copier.lora.precision import Array, as_float64


@dataclass(frozen=True)
class Layer:
    """The change of one weight: scale · up · (mid ·) down.

    Shapes, for a weight (out, in) or a kernel (out, in, k, k):
    `up` (out, r) or (out, r, 1, 1); `down` (r, in) or (r, in, k, k). With `mid` (r_up, r, k, k)
    the kernel is factored further and `down` is (r, in, 1, 1). Arrays keep their stored type.
    """

    up: Array
    down: Array
    mid: Array | None = None
    alpha: float | None = None

    @property
    def rank(self) -> int:
        return int(self.down.shape[0])

    @property
    def scale(self) -> float:
        """alpha / rank; 1 where the file has no alpha. This is the only place that says so."""
        return 1.0 if self.alpha is None else self.alpha / self.rank

    @property
    def kernel(self) -> tuple[int, ...]:
        """The weight's axes behind (out, in): () for a linear layer, (3, 3) for a convolution."""
        return tuple(self.down.shape[2:] if self.mid is None else self.mid.shape[2:])

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape of the weight that this layer changes."""
        return (int(self.up.shape[0]), int(self.down.shape[1]), *self.kernel)

    @property
    def is_spatial(self) -> bool:
        """Whether the layer changes a convolution wider than 1x1 (which has ranks of its own)."""
        return any(length > 1 for length in self.kernel)

    @property
    def size(self) -> tuple[int, int]:
        """The change as a matrix: (out, in · k · k)."""
        out, *rest = self.weight_shape
        return out, int(np.prod(rest))

    def factors(self) -> tuple[Array, Array]:
        """The unscaled factors as float64 matrices: (out, r) and (r, in · k · k); mid is folded in."""
        up = as_float64(self.up).reshape(self.up.shape[0], -1)
        down = as_float64(self.down).reshape(self.rank, -1)
        if self.mid is not None:
            mid = as_float64(self.mid)
            down = np.einsum("abkl,bi->aikl", mid, down).reshape(mid.shape[0], -1)
        return up, down

    def delta(self) -> Array:
        """The whole change as a float64 array of the weight's shape; for tests and small layers."""
        up, down = self.factors()
        return (self.scale * (up @ down)).reshape(self.weight_shape)


@dataclass(frozen=True)
class Lora:
    """A LoRA file as a value: layers by kohya's names, and the file's metadata."""

    layers: dict[str, Layer]
    metadata: dict[str, str] = field(default_factory=dict)
    family: Family | None = None
    path: Path | None = None

    @property
    def name(self) -> str:
        """How messages call it."""
        return str(self.path) if self.path else "the LoRA"

    def with_layers(self, layers: dict[str, Layer], **changes: Any) -> Lora:
        return replace(self, layers=layers, **changes)


def layer_from_factors(
    up: Array, down: Array, weight_shape: tuple[int, ...], *, alpha: float, is_conv: bool | None = None
) -> Layer:
    """A layer from matrices (out, r) and (r, in · k · k), shaped as kohya stores them."""
    rank = down.shape[0]
    if len(weight_shape) == 4 if is_conv is None else is_conv:
        kernel = weight_shape[2:] or (1, 1)
        up = up.reshape(weight_shape[0], rank, 1, 1)
        down = down.reshape(rank, weight_shape[1], *kernel)
    return Layer(up, down, alpha=alpha)
