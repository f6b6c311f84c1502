"""The factored algebra against dense products and full SVDs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.lora import lowrank
from lib_copier.lora.lowrank import best_factors, product_energy, singular_values, squared_distance, stack

sizes = st.integers(1, 24)


@st.composite
def products(draw):
    """Factors of any shape, of full rank or not, with singular values over many decades."""
    m, n, rank, seed = draw(sizes), draw(sizes), draw(sizes), draw(st.integers(0, 2**31))
    random = np.random.default_rng(seed)
    up, down = random.standard_normal((m, rank)), random.standard_normal((rank, n))
    up *= 10.0 ** -(draw(st.floats(0, 6)) * np.arange(rank) / max(rank - 1, 1))
    if draw(st.booleans()) and rank > 1:
        up[:, -1] = up[:, 0]
    return up, down


@settings(deadline=None, max_examples=150)
@given(products(), st.integers(1, 12))
def test_result_is_the_optimum(product, rank):
    up, down = product
    dense = up @ down
    values = np.linalg.svd(dense, compute_uv=False)
    best = np.sqrt((values[rank:] ** 2).sum())
    found = best_factors(up, down, lambda _: rank, np)
    error = np.linalg.norm(dense - found.up @ found.down)
    scale = np.linalg.norm(up) * np.linalg.norm(down)
    assert error <= best * (1 + 1e-4) + 1e-12 * scale
    assert found.rank <= rank
    assert np.isclose(np.sqrt(found.cut_energy), best, rtol=1e-4, atol=1e-7 * scale)
    measured = np.sqrt(squared_distance(up, down, found.up, found.down, product_energy(up, down)))
    assert np.isclose(measured, error, rtol=1e-4, atol=1e-7 * scale)


@settings(deadline=None, max_examples=60)
@given(products())
def test_both_routes_agree(product):
    up, down = product
    fast = lowrank._by_gram(up, down, lambda values: max(1, len(values) // 2), np)
    if fast is None:
        return
    exact = lowrank._by_qr(up, down, lambda _: fast.rank, np)
    dense = up @ down
    errors = [np.linalg.norm(dense - found.up @ found.down) for found in (fast, exact)]
    assert errors[0] <= errors[1] * (1 + 1e-5)


def test_equal_products_cancel_to_nothing():
    random = np.random.default_rng(0)
    up, down = random.standard_normal((30, 8)), random.standard_normal((8, 20))
    stacked = stack([(up, down, 0.7), (up, down, -0.7)], np)
    assert singular_values(*stacked, np) == []
    zero = best_factors(*stacked, len, np)
    assert zero.rank == 1
    assert not zero.up.any()
    assert not zero.down.any()


def test_true_rank_is_found_among_many_columns():
    random = np.random.default_rng(1)
    up, down = random.standard_normal((40, 3)), random.standard_normal((3, 50))
    wide, tall = up @ random.standard_normal((3, 16)), random.standard_normal((16, 3)) @ down
    assert len(singular_values(wide, tall, np)) == 3


@pytest.mark.parametrize("route", [lowrank._by_gram, lowrank._by_qr])
def test_torch_gives_the_same(route):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(2)
    up, down = random.standard_normal((60, 12)), random.standard_normal((12, 40))
    ours = route(up, down, lambda _: 4, np)
    theirs = route(torch.from_numpy(up), torch.from_numpy(down), lambda _: 4, torch)
    assert np.allclose(ours.up @ ours.down, (theirs.up @ theirs.down).numpy(), atol=1e-12)
