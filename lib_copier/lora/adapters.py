"""Kinds of adapters beyond plain LoRA: what each adds to a weight, as LyCORIS and PEFT define it.

Every kind is a matrix in the end, so all can be merged into checkpoints and become ordinary LoRAs. At
weight w each adds w times its whole change, as the WebUI and ComfyUI apply them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lib_copier.lora.layer import WeightChange
from lib_copier.lora.precision import Array, as_float32

Product = tuple[Array, Array]
"""Float32 factors (m, r) and (r, n) of a matrix."""
ScaleOf = Callable[[int | None], float]
"""What a change of this rank is multiplied by; of rank None, where it is kept without factors."""


@dataclass(frozen=True)
class _Shaped(WeightChange):
    """A change whose weight's shape is told beside it."""

    shape: tuple[int, ...]

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return self.shape


@dataclass(frozen=True)
class Full(_Shaped):
    """A whole difference; `read` gives its rows (first, last, …) in any type, as late as they are needed."""

    kind = "full difference"

    read: Callable[[int, int], Array]

    def rows(self, first: int, last: int) -> Array:
        return as_float32(self.read(first, last)).reshape(last - first, -1)


def full(matrix: Array, shape: tuple[int, ...]) -> Full:
    """A difference that is in memory."""
    return Full(shape, lambda first, last: matrix[first:last])


@dataclass(frozen=True)
class _TwoProducts(_Shaped):
    """Two matrices, each of them a product, joined so that their factors can be joined likewise."""

    one: Product
    two: Product
    strength: float

    @property
    def rank(self) -> int:
        return min(self.one[1].shape[0] * self.two[1].shape[0], *self.size)

    @staticmethod
    def joined(one: Product, two: Product) -> Product:
        """Factors of the whole from those of the two."""
        raise NotImplementedError

    def factors(self) -> tuple[Array, Array]:
        if self.is_dense:
            return super().factors()
        up, down = self.joined(_double(self.one), _double(self.two))
        return self.strength * up, down


@dataclass(frozen=True)
class LoHa(_TwoProducts):
    """The elementwise product of two low-rank matrices (FedPara, arXiv 2108.06098)."""

    kind = "LoHa"

    def rows(self, first: int, last: int) -> Array:
        (up, down), (other_up, other_down) = self.one, self.two
        found = up[first:last] @ down
        found *= other_up[first:last] @ other_down
        found *= np.float32(self.strength)
        return found

    @staticmethod
    def joined(one: Product, two: Product) -> Product:
        """Row by row, and column by column, Kronecker products of the factors."""
        (up, down), (other_up, other_down) = one, two
        joint_up = (up[:, :, None] * other_up[:, None, :]).reshape(len(up), -1)
        return joint_up, (down[:, None] * other_down[None]).reshape(-1, down.shape[1])


@dataclass(frozen=True)
class LoKr(_TwoProducts):
    """The Kronecker product of two matrices, each of them a product."""

    kind = "LoKr"

    @cached_property
    def _matrices(self) -> tuple[Array, Array]:
        return self.one[0] @ self.one[1] * np.float32(self.strength), self.two[0] @ self.two[1]

    def rows(self, first: int, last: int) -> Array:
        one, two = self._matrices
        index = np.arange(first, last)
        found = one[index // len(two)][:, :, None] * two[index % len(two)][:, None, :]
        return found.reshape(last - first, -1)

    @staticmethod
    def joined(one: Product, two: Product) -> Product:
        """kron(A B, C D) = kron(A, C) kron(B, D)."""
        return np.kron(one[0], two[0]), np.kron(one[1], two[1])


@dataclass(frozen=True)
class _Dependent(_Shaped):
    """A change that only the weight makes whole."""

    needs_weight = True
    is_vector = False

    def rows(self, first: int, last: int) -> Array:
        raise NotImplementedError(f"{self.kind} is a change of a weight; `on` gives it")


@dataclass(frozen=True)
class Ia3(_Dependent):
    """(IA)³: every output, or every input, of the weight is made stronger by a factor of its own."""

    kind = "(IA)3"

    factor: Array
    is_on_input: bool
    axes: tuple[int, ...]
    """What the layer's name tells of the weight's kernel."""

    def fits(self, size: tuple[int, int]) -> bool:
        count = self.factor.size
        return size[1] % count == 0 if self.is_on_input else size[0] == count

    def on(self, weight: Array) -> WeightChange:
        factor = as_float32(self.factor).reshape(-1)
        shape = _with_kernel(len(weight), weight.shape[1], self.axes)
        return full(_by_axis(weight, factor, self.is_on_input), shape)


@dataclass(frozen=True)
class GLora(_Dependent):
    """GLoRA: strength · (W A + B), with A (in, in) and B (out, in · k · k) as products."""

    kind = "GLoRA"

    inner: Product
    outer: Product
    strength: float

    def on(self, weight: Array) -> WeightChange:
        up, down = self.inner
        inputs = weight.reshape(len(weight), len(up), -1)
        turned = np.einsum("oik,ir,rj->ojk", inputs, up, down, optimize=True)
        found = (turned.reshape(weight.shape) + self.outer[0] @ self.outer[1]) * np.float32(self.strength)
        return full(found, self.shape)


@dataclass(frozen=True)
class Dora(_Dependent):
    """DoRA: (W + inner) with each output's, or each input's, length set to `magnitude` (arXiv 2402.09353)."""

    kind = "DoRA"

    inner: WeightChange
    magnitude: Array
    is_on_input: bool

    def on(self, weight: Array) -> WeightChange:
        whole = self.inner.on(weight).rows(0, len(weight))
        whole += weight
        magnitude = as_float32(self.magnitude).reshape(-1)
        parts = whole.reshape(len(whole), len(magnitude), -1) if self.is_on_input else whole
        axes = (0, 2) if self.is_on_input else 1
        length = np.sqrt(np.square(parts).sum(axes, dtype=np.float64)).astype(np.float32)
        factor = np.divide(magnitude, length, out=np.zeros_like(magnitude), where=length > 0)
        return full(_by_axis(whole, factor, self.is_on_input) - weight, self.shape)

    def fits(self, size: tuple[int, int]) -> bool:
        count = self.magnitude.size
        is_fit = size[1] % count == 0 if self.is_on_input else size[0] == count
        return is_fit and self.inner.fits(size)


def _by_axis(matrix: Array, factor: Array, is_on_input: bool) -> Array:
    """Every row, or every input's group of columns, times a factor of its own."""
    if not is_on_input:
        return matrix * factor[:, None]
    return (matrix.reshape(len(matrix), len(factor), -1) * factor[:, None]).reshape(matrix.shape)


def _double(product: Product) -> Product:
    return product[0].astype(np.float64), product[1].astype(np.float64)


def _flat(array: Array) -> Array:
    wide = as_float32(array)
    return wide.reshape(len(wide), -1)


def _product(up: Array, down: Array) -> Product:
    found = _flat(up), _flat(down)
    if found[0].shape[1] != len(found[1]):
        raise ValueError(f"a product of {found[0].shape} and {found[1].shape}")
    return found


def _tucker(core: Array, up: Array, down: Array) -> tuple[Product, tuple[int, ...]]:
    """A kernel (out, in, k, k) from a core (r, r, k, k), (r, out) and (r, in); and its last axes."""
    folded = np.einsum("ij...,jr->ir...", as_float32(core), _flat(down), optimize=True)
    return _product(np.ascontiguousarray(_flat(up).T), folded), core.shape[2:]


def _whole(matrix: Array) -> Product:
    """A matrix as a product of the least rank that needs no computing."""
    found = _flat(matrix)
    rows, columns = found.shape
    identity = np.eye(min(rows, columns), dtype=np.float32)
    return (identity, found) if rows <= columns else (found, identity)


def loha(roles: Mapping[str, Array], kernel: tuple[int, ...], scale_of: ScaleOf) -> LoHa:
    """A LoHa from its tensors: `hada_w1_a` (out, r), `hada_w1_b` (r, in · k · k), w2 alike.

    With the cores `hada_t1` and `hada_t2` (r, r, k, k) the sides are (r, out) and (r, in).
    """
    products = []
    for number in "12":
        up, down = roles[f"hada_w{number}_a"], roles[f"hada_w{number}_b"]
        if f"hada_t{number}" in roles:
            product, kernel = _tucker(roles[f"hada_t{number}"], up, down)
        else:
            product = _product(up, down)
        products.append(product)
    (up, down), (other_up, other_down) = products
    if (len(up), down.shape[1]) != (len(other_up), other_down.shape[1]):
        raise ValueError("its two halves differ in size")
    shape = _with_kernel(len(up), down.shape[1], kernel)
    return LoHa(shape, products[0], products[1], scale_of(len(roles["hada_w1_b"])))


def lokr(roles: Mapping[str, Array], kernel: tuple[int, ...], scale_of: ScaleOf) -> LoKr:
    """A LoKr from its tensors; each half is whole (`lokr_w1`) or in factors (`lokr_w1_a`, `lokr_w1_b`).

    The second half carries the kernel; with the core `lokr_t2` its sides are (r, out) and (r, in). Where
    both halves are whole, LyCORIS knows no strength.
    """
    ranks = [len(roles[key]) for key in ("lokr_w1_b", "lokr_w2_b") if key in roles]
    one = _whole(roles["lokr_w1"]) if "lokr_w1" in roles else _product(roles["lokr_w1_a"], roles["lokr_w1_b"])
    if "lokr_w2" in roles:
        two, kernel = _whole(roles["lokr_w2"]), roles["lokr_w2"].shape[2:] or kernel
    elif "lokr_t2" in roles:
        two, kernel = _tucker(roles["lokr_t2"], roles["lokr_w2_a"], roles["lokr_w2_b"])
    else:
        two = _product(roles["lokr_w2_a"], roles["lokr_w2_b"])
    shape = _with_kernel(len(one[0]) * len(two[0]), one[1].shape[1] * two[1].shape[1], kernel)
    return LoKr(shape, one, two, scale_of(ranks[0] if ranks else None))


def glora(roles: Mapping[str, Array], kernel: tuple[int, ...], scale_of: ScaleOf) -> GLora:
    """A GLoRA from its tensors; older files have the two factors of each product the other way round."""
    inner, outer = ((_flat(roles[f"{side}1"]), _flat(roles[f"{side}2"])) for side in "ab")
    if len(inner[0]) < inner[0].shape[1]:
        inner, outer = inner[::-1], outer[::-1]
    inner, outer = _product(*inner), _product(*outer)
    if len(inner[0]) != inner[1].shape[1]:
        raise ValueError("A is not square")
    shape = _with_kernel(len(outer[0]), outer[1].shape[1], kernel)
    return GLora(shape, inner, outer, scale_of(len(inner[1])))


def _with_kernel(out: int, width: int, kernel: tuple[int, ...]) -> tuple[int, ...]:
    """The weight's shape; where the kernel that its name tells does not divide it, the flat matrix."""
    area = int(np.prod(kernel))
    return (out, width // area, *kernel) if width % area == 0 else (out, width)
