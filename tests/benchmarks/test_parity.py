"""What the parity benchmark measures by, and what it says without sd-scripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import parity, parity_algebra, parity_extract
from lib_copier.errors import InputError


@pytest.fixture
def delta() -> np.ndarray:
    random = np.random.default_rng(0)
    return random.standard_normal((12, 6)) @ random.standard_normal((6, 20))


def test_the_best_approximation_is_beaten_by_none(delta: np.ndarray) -> None:
    wanted = {"x": delta}
    best = parity_algebra._truncated(wanted, 3)
    beyond = parity_algebra._beyond(wanted)
    assert np.linalg.matrix_rank(best["x"]) == 3
    assert beyond(best, best) == 0.0
    # The same rank, but other directions.
    other = {"x": delta[:, :3] @ np.linalg.pinv(delta[:, :3]) @ delta}
    assert beyond(other, best) > 1e-3
    assert beyond(wanted, best) < 0.0


def test_rank_for_an_energy(delta: np.ndarray) -> None:
    values = np.linalg.svd(delta, compute_uv=False)
    rank = parity_algebra._rank_for(delta, 0.9)
    assert np.linalg.norm(values[:rank]) >= 0.9 * np.linalg.norm(values)
    assert np.linalg.norm(values[: rank - 1]) < 0.9 * np.linalg.norm(values)


def test_missing_layers_are_an_infinite_error(delta: np.ndarray) -> None:
    assert parity_algebra._error({}, {"x": delta}) == float("inf")
    assert parity_algebra._error({"x": 1.5 * delta}, {"x": delta}) == pytest.approx(0.5)
    assert parity_algebra._cosine({"x": -2 * delta}, {"x": delta}) == pytest.approx(-1.0)


def test_the_compared_loras_can_be_read_back(tmp_path: Path) -> None:
    path = parity_algebra._random_lora(tmp_path / "a.safetensors", 2, 1)
    assert [found.shape for found in parity_algebra._deltas(path).values()] == [(320, 320), (320, 768)]
    assert parity_algebra._mean_rank(path) == parity_algebra.RANK


def test_an_extracted_lora_is_compared_by_what_it_does(tmp_path: Path) -> None:
    known = parity_algebra._random_lora(tmp_path / "known.safetensors", 2, 1)
    other = parity_algebra._random_lora(tmp_path / "other.safetensors", 2, 2)
    fewer = parity_algebra._random_lora(tmp_path / "fewer.safetensors", 1, 1)
    assert parity_extract.relative_error(known, known) == 0.0
    # Independent ones stand at right angles.
    assert parity_extract.relative_error(other, known) == pytest.approx(2**0.5, rel=0.05)
    assert parity_extract.relative_error(fewer, known) == float("inf")


def test_without_sd_scripts_it_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--sd-scripts-python"):
        parity.main(["--sd-scripts", str(tmp_path)])


def test_the_table_names_each_difference_once() -> None:
    row = parity_algebra.Row("task", "measure", 1.0, 0.5, "because")
    text = parity._table([row, row])
    assert text.count("because") == 1
    assert text.count("measure") == 3
