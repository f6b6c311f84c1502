"""What a file changes in one weight: the change as such, a plain LoRA layer, and a file's layers together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lib_copier.lora.precision import Array, as_float32, as_float64
from lib_copier.model_file.families import Family


class WeightChange(ABC):
    """What is added to one weight, however a file keeps it.

    A weight (out, in) or a kernel (out, in, k, k) is seen as the matrix (out, in · k · k), a bias or a
    norm's weight (out,) as (out, 1).
    """

    kind: ClassVar[str]
    needs_weight: ClassVar[bool] = False
    """Whether the change depends on the weight that it is added to; `on` gives it then."""

    @property
    @abstractmethod
    def weight_shape(self) -> tuple[int, ...]:
        """The shape of the weight that is changed."""

    @abstractmethod
    def rows(self, first: int, last: int) -> Array:
        """Rows `first` to `last` (excluded) of the change as a float32 matrix, strength included."""

    @property
    def kernel(self) -> tuple[int, ...]:
        """The weight's axes behind (out, in): () for a linear layer, (3, 3) for a convolution."""
        return self.weight_shape[2:]

    @property
    def is_spatial(self) -> bool:
        """Whether the weight is a convolution wider than 1x1 (which has ranks of its own)."""
        return any(length > 1 for length in self.kernel)

    @property
    def is_vector(self) -> bool:
        """Whether it changes a bias or a norm, which no LoRA can hold."""
        return len(self.weight_shape) == 1

    @property
    def size(self) -> tuple[int, int]:
        """The change as a matrix: (out, in · k · k)."""
        out, *rest = self.weight_shape
        return out, int(np.prod(rest))

    @property
    def rank(self) -> int:
        """How many columns `factors` have: no less than the true rank."""
        return min(self.size)

    @property
    def is_dense(self) -> bool:
        """Whether the change may have the full rank, so that factors save nothing."""
        return self.rank == min(self.size)

    @property
    def scale(self) -> float:
        """What the product of the factors is multiplied by."""
        return 1.0

    def factors(self) -> tuple[Array, Array]:
        """Float64 matrices (out, rank) and (rank, in · k · k); `scale` times their product is the change."""
        out, width = self.size
        matrix = self.rows(0, out).astype(np.float64)
        return (np.eye(out), matrix) if out <= width else (matrix, np.eye(width))

    def delta(self) -> Array:
        """The whole change as a float64 array of the weight's shape; for tests and small layers."""
        up, down = self.factors()
        return (self.scale * (up @ down)).reshape(self.weight_shape)

    def on(self, weight: Array) -> WeightChange:
        """The change where the weight is `weight`, a float32 matrix of `size`."""
        return self

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether a weight of this size can be changed by it."""
        return self.size == size


@dataclass(frozen=True)
class Layer(WeightChange):
    """A plain LoRA layer: scale · up · (mid ·) down.

    Shapes, for a weight (out, in) or a kernel (out, in, k, k):
    `up` (out, r) or (out, r, 1, 1); `down` (r, in) or (r, in, k, k). With `mid` (r_up, r, k, k)
    the kernel is factored further and `down` is (r, in, 1, 1). Arrays keep their stored type.
    """

    kind = "LoRA"

    up: Array
    down: Array
    mid: Array | None = None
    alpha: float | None = None

    @property
    def rank(self) -> int:
        return int(self.down.shape[0])

    @property
    def is_dense(self) -> bool:
        """Never: its factors are what it is."""
        return False

    @property
    def scale(self) -> float:
        """alpha / rank; 1 where the file has no alpha. This is the only place that says so."""
        return 1.0 if self.alpha is None else self.alpha / self.rank

    @property
    def weight_shape(self) -> tuple[int, ...]:
        kernel = self.down.shape[2:] if self.mid is None else self.mid.shape[2:]
        return (int(self.up.shape[0]), int(self.down.shape[1]), *kernel)

    def factors(self) -> tuple[Array, Array]:
        """The unscaled factors as float64 matrices: (out, r) and (r, in · k · k); mid is folded in."""
        up = as_float64(self.up).reshape(self.up.shape[0], -1)
        down = as_float64(self.down).reshape(self.rank, -1)
        if self.mid is not None:
            mid = as_float64(self.mid)
            down = np.einsum("abkl,bi->aikl", mid, down).reshape(mid.shape[0], -1)
        return up, down

    def rows(self, first: int, last: int) -> Array:
        up, down = self.factors()
        return as_float32((self.scale * up[first:last]) @ down)


@dataclass(frozen=True)
class Adapter:
    """A file of any kind as a value: changes by kohya's layer names, and the file's metadata.

    The bias of a layer stands under its name and ``.bias``.
    """

    layers: Mapping[str, WeightChange]
    metadata: dict[str, str] = field(default_factory=dict)
    family: Family | None = None
    path: Path | None = None

    @property
    def name(self) -> str:
        """How messages call it."""
        return str(self.path) if self.path else "the LoRA"


@dataclass(frozen=True)
class Lora(Adapter):
    """A file that holds plain LoRA layers only."""

    layers: dict[str, Layer]

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
