"""The algebra of up·down products: best approximations without ever forming the product.

A weighted sum of LoRA layers is one product of stacked factors, U (m, R) times D (R, n). With thin
QRs U = Qu Ru and Dᵀ = Qd Rd, everything about U·D is in the small matrix M = Ru Rdᵀ = P S Wᵀ: its
singular values are S, and its best rank-k approximation (Eckart-Young) has the factors
U (Rdᵀ W_k) S_k^-1/2 and S_k^-1/2 (P_kᵀ Ru) D. Neither Q is needed, and no R is inverted, so
factors that lack full rank do no harm.

Functions take numpy arrays or torch tensors; `xp` is the module that the inputs belong to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# float64 keeps about 16 digits; what lies this far below the factors' size is rounding.
RANK_TOLERANCE = 1e-12
# The Gram route squares the numbers: it errs by about 1e-15 of the squared factors' size. Where the
# part cut off is not far above that (1e-9 leaves an error of 1e-6 of it), the QR route is taken.
_GRAM_TRUST = 1e-9


@dataclass(frozen=True)
class Factors:
    """A product in balanced form: `up` (m, k) and `down` (k, n) each carry the root of the singular values.

    `singular_values` are all of the full product's that are above rounding, largest first, as
    floats; `energy` is the sum of their squares, the squared Frobenius norm.
    """

    up: Any
    down: Any
    singular_values: Sequence[float]
    energy: float

    @property
    def rank(self) -> int:
        return int(self.down.shape[0])

    @property
    def cut_energy(self) -> float:
        """The squared error of the best approximation at this rank."""
        return math.fsum(value * value for value in self.singular_values[self.rank :])


ChooseRank = Callable[[Sequence[float]], int]


def stack(products: Sequence[tuple[Any, Any, float]], xp: Any) -> tuple[Any, Any]:
    """Σ weight·up·down as one product: factors side by side, weights split evenly between them.

    `products`: (up (m, r), down (r, n), weight) each. A negative weight's sign goes to `up`.
    """
    ups, downs = [], []
    for up, down, weight in products:
        root = math.sqrt(abs(weight))
        ups.append(up if weight == 1.0 else up * math.copysign(root, weight))
        downs.append(down if root == 1.0 else down * root)
    if len(ups) == 1:
        return ups[0], downs[0]
    return xp.concatenate(ups, 1), xp.concatenate(downs, 0)


def best_factors(up: Any, down: Any, choose_rank: ChooseRank, xp: Any) -> Factors:
    """The best approximation of up·down at the rank that `choose_rank` picks from the singular values.

    Parameters
    ----------
    up, down:
        float64, (m, R) and (R, n).
    choose_rank:
        Gets the singular values above rounding, largest first (at least one), gives a rank >= 1.
    xp:
        numpy or torch.

    Returns
    -------
    Factors
        At rank 1 with zeros where the product is zero: a layer cannot have rank 0.
    """
    found = _by_gram(up, down, choose_rank, xp)
    return _by_qr(up, down, choose_rank, xp) if found is None else found


def singular_values(up: Any, down: Any, xp: Any) -> Sequence[float]:
    """The singular values of up·down that are above rounding, largest first; their count is its rank."""
    spectrum = _gram_spectrum(up, down, xp)
    if spectrum is not None and spectrum.energies[-1] > _GRAM_TRUST * spectrum.size:
        return spectrum.values
    return _small_svd(up, down, xp)[1]


@dataclass(frozen=True)
class _Spectrum:
    """What the Gram matrices tell: `root` (R, R) with root·rootᵀ = upᵀ up, and the product's energies.

    `vectors` stand in the order of the energies, largest first; `size` is |up|² · |down|².
    """

    root: Any
    down_gram: Any
    vectors: Any
    energies: Sequence[float]
    size: float

    @property
    def values(self) -> list[float]:
        return [math.sqrt(energy) for energy in self.energies]


def _gram_spectrum(up: Any, down: Any, xp: Any) -> _Spectrum | None:
    """Singular values by Gram matrices: half the work of QRs. None where `up` lacks full rank."""
    if up.shape[1] > min(up.shape[0], down.shape[1]):
        return None
    up_gram, down_gram = up.T @ up, down @ down.T
    try:
        root = xp.linalg.cholesky(up_gram)
    except (ValueError, RuntimeError):  # numpy's and torch's "not positive definite"
        return None
    squares, vectors = xp.linalg.eigh(root.T @ (down_gram @ root))
    energies = [max(value, 0.0) for value in reversed(squares.tolist())]
    size = float(up_gram.diagonal().sum() * down_gram.diagonal().sum())
    return _Spectrum(root, down_gram, xp.flip(vectors, (1,)), energies, size)


def _by_gram(up: Any, down: Any, choose_rank: ChooseRank, xp: Any) -> Factors | None:
    """The fast route, or None where it is not exact enough."""
    spectrum = _gram_spectrum(up, down, xp)
    if spectrum is None or not spectrum.energies[0] > _GRAM_TRUST * spectrum.size:
        return None
    values, energies = spectrum.values, spectrum.energies
    rank = min(choose_rank(values), len(values))
    if math.fsum(energies[rank:]) < _GRAM_TRUST * spectrum.size:
        return None
    left = spectrum.root @ spectrum.vectors[:, :rank]
    kept = _row(values[:rank], up, xp)
    new_up = up @ ((spectrum.down_gram @ left) / kept**1.5)
    new_down = (left / kept**0.5).T @ down
    return Factors(new_up, new_down, values, math.fsum(energies))


def _small_svd(up: Any, down: Any, xp: Any) -> tuple[Any, list[float], Any, Any, Any]:
    """The exact route's middle: M = P S Wᵀ of both QRs. Gives P, S above rounding, Wᵀ and both R."""
    up_root = xp.linalg.qr(up, mode="r")
    down_root = xp.linalg.qr(down.T, mode="r")
    # numpy gives the R alone, torch a pair with an empty Q.
    up_root = up_root[1] if isinstance(up_root, tuple) else up_root
    down_root = down_root[1] if isinstance(down_root, tuple) else down_root
    left, values, right = xp.linalg.svd(up_root @ down_root.T, full_matrices=False)
    size = float(xp.linalg.norm(up_root) * xp.linalg.norm(down_root))
    return (
        left,
        [value for value in values.tolist() if value > RANK_TOLERANCE * size],
        right,
        up_root,
        down_root,
    )


def _by_qr(up: Any, down: Any, choose_rank: ChooseRank, xp: Any) -> Factors:
    """The exact route: thin QRs and one small SVD."""
    left, values, right, up_root, down_root = _small_svd(up, down, xp)
    if not values:
        return Factors(up[:, :1] * 0.0, down[:1] * 0.0, [], 0.0)
    rank = min(choose_rank(values), len(values))
    root = _row(values[:rank], up, xp) ** 0.5
    new_up = up @ ((down_root.T @ right[:rank].T) / root)
    new_down = ((left[:, :rank] / root).T @ up_root) @ down
    return Factors(new_up, new_down, values, math.fsum(value * value for value in values))


def _row(values: Sequence[float], like: Any, xp: Any) -> Any:
    """A row of numbers on the device and in the type of `like`."""
    where = {"device": like.device} if hasattr(like, "is_cuda") else {}
    return xp.asarray(values, dtype=like.dtype, **where)


def product_energy(up: Any, down: Any) -> float:
    """The squared Frobenius norm of up·down."""
    return max(0.0, float(((up.T @ up) * (down @ down.T)).sum()))


def squared_distance(up: Any, down: Any, other_up: Any, other_down: Any, energy: float) -> float:
    """The squared Frobenius norm of up·down − other_up·other_down, given that of up·down.

    Exact to about 1e-15 of `energy`; nothing of the size of the products is formed.
    """
    inner = float(((up.T @ other_up) * (down @ other_down.T)).sum())
    return max(0.0, energy - 2.0 * inner + product_energy(other_up, other_down))
