"""The leading part of a large dense matrix: a randomised block Krylov method that checks itself.

After Musco and Musco (2015). From a few random columns, A and Aᵀ in turn build a space in which the
leading part of A is found; all of the space is used, which takes half the products of plain
subspace iteration. What the space captures, |QᵀA|², is known exactly, and so is |A|²; it grows until the
energy still to be gained, extrapolated from the gains so far, is a small part of the error. Where
that does not happen, the exact decomposition is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_LEAST_BLOCK = 16
_MOST_BLOCKS = 12
# The energy that may stay ungained, as a part of the squared error: 0.8 % of the error itself.
_GAIN_LEFT = 0.016
# float32 sums are good to about this part; what is left below it is rounding.
_NOTHING_LEFT = 2e-6


@dataclass(frozen=True)
class Leading:
    """The leading singular triplets of a matrix A (m, n): A ≈ left · diag(values) · right.

    `left` (m, l), `right` (l, n), `values` largest first. `energy` is |A|².
    """

    left: Any
    values: Sequence[float]
    right: Any
    energy: float


def leading_part(matrix: Any, rank: int, xp: Any) -> Leading:
    """The leading `rank` singular triplets of a float32 matrix, or all there are if fewer.

    The best approximation from them has an error within 1 % of the optimum's.
    """
    energy = float(sum_of_squares(matrix, xp))
    if energy == 0.0:
        return Leading(matrix[:, :0], [], matrix[:0], 0.0)
    block = max(_LEAST_BLOCK, (rank + _LEAST_BLOCK) // 2)
    is_small = 4 * (rank + _LEAST_BLOCK) >= min(matrix.shape)
    found = None if is_small else _iterate(matrix, rank, block, energy, xp)
    return exact_part(matrix, rank, energy, xp) if found is None else found


def _iterate(matrix: Any, rank: int, block: int, energy: float, xp: Any) -> Leading | None:
    """Grow a Krylov space by `block` columns at a time until it holds enough; None where it never does."""
    start = np.random.default_rng(0).standard_normal((matrix.shape[1], block), np.float32)
    columns = matrix @ _like(start, matrix, xp)
    basis, images = columns[:, :0], matrix.T[:, :0]
    gram = np.zeros((0, 0))
    gained: list[float] = []
    while basis.shape[1] + block <= min(min(matrix.shape), _MOST_BLOCKS * block):
        fresh = _orthonormal(columns - basis @ (basis.T @ columns), xp)
        # Once more, because what was left of the columns may have been mostly rounding.
        fresh = _orthonormal(fresh - basis @ (basis.T @ fresh), xp)
        image = matrix.T @ fresh
        gram = _bordered(gram, images.T @ image, image.T @ image, xp)
        basis, images = xp.concatenate((basis, fresh), 1), xp.concatenate((images, image), 1)
        energies = [max(0.0, value) for value in reversed(np.linalg.eigvalsh(gram).tolist())]
        if len(energies) >= rank or energy - math.fsum(energies) <= _NOTHING_LEFT * energy:
            gained.append(math.fsum(energies[:rank]))
            if _is_settled(gained, math.fsum(energies), energy):
                return _triplets(basis, images, gram, rank, energy, xp)
        columns = matrix @ image
    return None


def _bordered(gram: Any, side: Any, corner: Any, xp: Any) -> Any:
    """The float64 Gram matrix of all images, from that of the older ones and the new block's products."""
    side, corner = (array if xp is np else array.cpu().numpy() for array in (side, corner))
    return np.block([[gram, side], [side.T, corner]]).astype(np.float64)


def _is_settled(gained: Sequence[float], captured: float, energy: float) -> bool:
    """Whether further rounds cannot gain enough to matter."""
    if energy - captured <= _NOTHING_LEFT * energy:
        return True
    if len(gained) < 3:
        return False
    last, before = gained[-1] - gained[-2], gained[-2] - gained[-3]
    # Gains shrink at least geometrically. Rounding can make them negative at the end.
    ratio = min(0.95, max(0.0, last / before)) if before > 0 else 0.0
    left = max(0.0, last) * ratio / (1.0 - ratio)
    return left <= _GAIN_LEFT * (energy - gained[-1]) + 1e-7 * energy


def _triplets(basis: Any, images: Any, gram: Any, rank: int, energy: float, xp: Any) -> Leading:
    """Singular triplets from an orthonormal basis Q, the images Aᵀ Q and their Gram matrix."""
    energies, vectors = np.linalg.eigh(gram)
    kept = [value for value in reversed(energies.tolist()) if value > 1e-12 * energies[-1]][:rank]
    values = [math.sqrt(value) for value in kept]
    turned = _like(vectors[:, ::-1][:, : len(kept)], basis, xp)
    scale = _like(np.asarray(values, np.float32), basis, xp)
    return Leading(basis @ turned, values, ((images @ turned) / scale).T, energy)


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
    """An orthonormal basis of the columns; where they are nearly orthogonal, by the cheaper way."""
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
