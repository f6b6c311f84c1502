"""The leading part of a large dense matrix: randomised subspace iteration that checks itself.

After Halko, Martinsson and Tropp (2011). A basis Q of a few more columns than asked is refined by
A and Aᵀ in turn. What it captures, |QᵀA|², is known exactly, and so is |A|²; the iteration ends
when the energy still to be gained, extrapolated from the gains so far, is a small part of the
error. Where that does not happen, the exact decomposition is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_EXTRA_COLUMNS = 16
_MOST_ROUNDS = 12
# The energy that may stay ungained, as a part of the squared error: 0.8 % of the error itself.
_GAIN_LEFT = 0.016
# float32 sums are good to about this part; what is left below it is rounding.
_NOTHING_LEFT = 2e-6


@dataclass(frozen=True)
class Leading:
    """The leading singular triplets of a matrix A (m, n): A ≈ left · diag(values) · right.

    `left` (m, l), `right` (l, n), `values` largest first. `energy` is |A|²; `is_checked` is False
    where the exact route had to be taken because the randomised one did not settle.
    """

    left: Any
    values: Sequence[float]
    right: Any
    energy: float
    is_checked: bool = True


def leading_part(matrix: Any, rank: int, xp: Any) -> Leading:
    """The leading `rank` singular triplets of a float32 matrix, or all there are if fewer.

    The best approximation from them has an error within 1 % of the optimum's.
    """
    energy = float(sum_of_squares(matrix, xp))
    smaller = min(matrix.shape)
    if energy == 0.0:
        return Leading(matrix[:, :0], [], matrix[:0], 0.0)
    columns = min(smaller, rank + max(_EXTRA_COLUMNS, rank // 4))
    if 4 * columns >= smaller:
        return exact_part(matrix, rank, energy, xp)
    found = _iterate(matrix, rank, columns, energy, xp)
    if found is not None:
        return found
    exact = exact_part(matrix, rank, energy, xp)
    return Leading(exact.left, exact.values, exact.right, energy, is_checked=False)


def _iterate(matrix: Any, rank: int, columns: int, energy: float, xp: Any) -> Leading | None:
    """Subspace iteration until nothing worth having is left; None where it does not settle."""
    start = np.random.default_rng(0).standard_normal((matrix.shape[1], columns), np.float32)
    basis = _orthonormal(matrix @ _like(start, matrix, xp), xp)
    gained: list[float] = []
    for _ in range(_MOST_ROUNDS):
        image = matrix.T @ basis
        energies, vectors = _descending(image.T @ image, xp)
        gained.append(math.fsum(energies[:rank]))
        if _is_settled(gained, math.fsum(energies), energy):
            return _triplets(basis, image, energies, vectors, rank, energy, xp)
        kept = [value for value in energies if value > 1e-12 * energies[0]]
        scale = _like(np.asarray(kept, np.float32), matrix, xp) ** 0.5
        ritz = (image @ vectors[:, : len(kept)]) / scale
        basis = _orthonormal(matrix @ ritz, xp)
    return None


def _is_settled(gained: Sequence[float], captured: float, energy: float) -> bool:
    """Whether further rounds cannot gain enough to matter."""
    if energy - captured <= _NOTHING_LEFT * energy:
        return True
    if len(gained) < 3:
        return False
    last, before = gained[-1] - gained[-2], gained[-2] - gained[-3]
    # Gains shrink, at first faster than later: the root of their ratio foretells the rest safely,
    # also for a flat spectrum, the slowest. Rounding can make them negative at the end.
    ratio = min(0.95, max(0.0, last / before)) ** 0.5 if before > 0 else 0.0
    left = max(0.0, last) * ratio / (1.0 - ratio)
    return left <= _GAIN_LEFT * (energy - gained[-1]) + 1e-7 * energy


def _triplets(
    basis: Any, image: Any, energies: Sequence[float], vectors: Any, rank: int, energy: float, xp: Any
) -> Leading:
    """Singular triplets from an orthonormal basis Q and Aᵀ Q."""
    kept = [value for value in energies[:rank] if value > 1e-12 * energies[0]]
    values = [math.sqrt(value) for value in kept]
    turned = vectors[:, : len(kept)]
    scale = _like(np.asarray(values, np.float32), basis, xp)
    return Leading(basis @ turned, values, ((image @ turned) / scale).T, energy)


def exact_part(matrix: Any, rank: int, energy: float, xp: Any) -> Leading:
    """The leading triplets by a full decomposition of the smaller Gram matrix, in float64.

    float64 holds the squares of float32 numbers, so nothing that the matrix tells is lost.
    """
    is_wide = matrix.shape[0] <= matrix.shape[1]
    wide = _double(matrix if is_wide else matrix.T, xp)
    energies, vectors = _descending(wide @ wide.T, xp)
    kept = [value for value in energies[:rank] if value > 1e-14 * energies[0]]
    values = [math.sqrt(value) for value in kept]
    near = vectors[:, : len(kept)]
    far = (wide.T @ near) / _like(np.asarray(values), near, xp)
    left, right = (near, far) if is_wide else (far, near)
    return Leading(left, values, right.T, energy)


def _descending(gram: Any, xp: Any) -> tuple[list[float], Any]:
    """Eigenvalues, largest first and not below 0, and their vectors in the type of `gram`."""
    values, vectors = xp.linalg.eigh(_double(gram, xp))
    energies = [max(0.0, value) for value in reversed(values.tolist())]
    turned = xp.flip(vectors, (1,))
    return energies, turned.astype(gram.dtype) if xp is np else turned.to(gram.dtype)


def _orthonormal(columns: Any, xp: Any) -> Any:
    """An orthonormal basis of the columns. Nearly orthogonal ones are only straightened, which is cheap."""
    norms = xp.sqrt((columns * columns).sum(0))
    columns = columns / (norms + 1e-30 * norms.max() + 1e-45)
    energies, vectors = _descending(columns.T @ columns, xp)
    if energies[-1] > 0.05:
        return columns @ (vectors / _like(np.asarray(energies, np.float32), columns, xp) ** 0.5)
    basis = xp.linalg.qr(_double(columns, xp), mode="reduced")[0]
    return basis.astype(np.float32) if xp is np else basis.to(columns.dtype)


def _double(array: Any, xp: Any) -> Any:
    return array.astype(np.float64) if xp is np else array.double()


def _like(array: Any, like: Any, xp: Any) -> Any:
    """A numpy array where `like` is and in its type."""
    if xp is np:
        return array.astype(like.dtype, copy=False)
    return xp.from_numpy(np.ascontiguousarray(array)).to(like)


def sum_of_squares(array: Any, xp: Any) -> float:
    """|A|², summed by rows so that float32 keeps its digits."""
    if xp is np:
        return math.fsum(np.einsum("ij,ij->i", array, array).tolist())
    return float((array.double() ** 2).sum())
