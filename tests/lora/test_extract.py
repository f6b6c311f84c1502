"""Extraction: within one per cent of the full SVD, true rank found, text encoder rule said aloud."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from lib_copier.errors import FaultsError, InputError
from lib_copier.lora import rangefinder
from lib_copier.lora.bake import merge_into_checkpoint
from lib_copier.lora.extract import extract
from lib_copier.lora.match import plan_merge
from lib_copier.lora.rangefinder import leading_part
from lib_copier.lora.rank import RankPolicy
from lib_copier.lora.stream import TensorFile


def spectrum_matrix(values, m, n, seed=0):
    random = np.random.default_rng(seed)
    left = np.linalg.qr(random.standard_normal((m, len(values))))[0]
    right = np.linalg.qr(random.standard_normal((n, len(values))))[0]
    return ((left * values) @ right.T).astype(np.float32)


SPECTRA = {
    "flat": np.ones(300),
    "slow": 1.0 / np.arange(1, 301) ** 0.5,
    "fast": 0.9 ** np.arange(300),
    "steep": 10.0 ** -np.linspace(0, 5, 300),
    "step": np.r_[np.full(20, 5.0), np.full(280, 1.0)],
    "low rank": np.r_[np.ones(9), np.zeros(291)],
}


@pytest.mark.parametrize("name", SPECTRA)
def test_range_finder_is_within_one_per_cent(name):
    values = SPECTRA[name]
    matrix = spectrum_matrix(values, 300, 420)
    for rank in (4, 16, 32):
        found = leading_part(matrix, rank, np)
        dense = found.left * np.asarray(found.values, np.float32) @ found.right
        best = np.sqrt((values[rank:] ** 2).sum())
        error = np.linalg.norm(matrix - dense)
        assert error <= 1.01 * best + 2e-6 * np.linalg.norm(matrix), rank


def test_random_matrices_are_within_one_per_cent():
    matrix = np.random.default_rng(0).standard_normal((500, 640)).astype(np.float32)
    values = np.linalg.svd(matrix, compute_uv=False)
    found = leading_part(matrix, 32, np)
    error = np.sqrt(found.energy - np.square(found.values).sum())
    assert error <= 1.01 * np.sqrt((values[32:] ** 2).sum())


def test_what_does_not_settle_is_decomposed_exactly(monkeypatch):
    monkeypatch.setattr(rangefinder, "_is_settled", lambda *_: False)
    matrix = spectrum_matrix(SPECTRA["slow"], 300, 420)
    found = leading_part(matrix, 16, np)
    assert np.allclose(found.values, SPECTRA["slow"][:16], rtol=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(0, 99))
def test_small_matrices_are_exact(m, n, rank, seed):
    matrix = np.random.default_rng(seed).standard_normal((m, n)).astype(np.float32)
    found = leading_part(matrix, rank, np)
    values = np.linalg.svd(matrix.astype(float), compute_uv=False)
    assert np.allclose(found.values, values[: len(found.values)], rtol=1e-4, atol=1e-5)


@pytest.fixture
def merged(tmp_path, make_checkpoint, make_lora):
    """A checkpoint and the same one with a rank 3 LoRA in it, both float32."""

    def make(family="sd1", conv=False):
        original, lora = make_checkpoint(family, dtype=np.float32), make_lora(family, rank=3, conv=conv)
        tuned = tmp_path / "tuned.safetensors"
        with TensorFile(original) as source:
            merge_into_checkpoint(source, plan_merge(source, [(lora, 1.0)]), tuned)
        return TensorFile(original), TensorFile(tuned), lora

    return make


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_merged_lora_comes_back_at_its_true_rank(merged, family):
    original, tuned, lora = merged(family, conv=True)
    with original, tuned:
        found, report = extract(original, tuned, RankPolicy(8, 8), save_precision="float")
    assert found.layers.keys() == lora.layers.keys()
    for name, layer in found.layers.items():
        delta = lora.layers[name].delta()
        assert layer.rank == 3, name
        assert layer.scale == 1.0
        assert np.linalg.norm(layer.delta() - delta) <= 1e-4 * np.linalg.norm(delta)
    assert report.error < 1e-4


def test_convolutions_only_with_a_rank_for_them(merged):
    original, tuned, _ = merged("sd1", conv=True)
    with original, tuned:
        found, _ = extract(original, tuned, RankPolicy(4))
    assert not any(layer.is_spatial for layer in found.layers.values())


def test_text_encoder_that_hardly_differs_is_left_out_aloud(make_checkpoint):
    text = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"
    unet = "model.diffusion_model.input_blocks.1.1.proj_in.weight"
    path = make_checkpoint("sd1", dtype=np.float32)
    before = load_file(path)
    changes = {text: before[text] + 0.005, unet: before[unet] + 0.5}
    tuned_path = make_checkpoint("sd1", "tuned.safetensors", dtype=np.float32, changes=changes)
    with TensorFile(path) as original, TensorFile(tuned_path) as tuned:
        found, report = extract(original, tuned, RankPolicy(2))
        assert list(found.layers) == ["lora_unet_down_blocks_0_attentions_0_proj_in"]
        assert "text encoder left out: it differs by at most 0.005" in report.remarks[0]
        found, _ = extract(original, tuned, RankPolicy(2), min_diff=0.0)
        assert len(found.layers) == 2
        assert next(iter(found.layers.values())).rank == 1


def test_equal_or_foreign_checkpoints_are_refused(make_checkpoint):
    one, other = make_checkpoint("sd1", "a.safetensors"), make_checkpoint("sdxl", "b.safetensors")
    with TensorFile(one) as first, TensorFile(one) as same, TensorFile(other) as foreign:
        with pytest.raises(InputError, match="do not differ"):
            extract(first, same, RankPolicy(2))
        with pytest.raises(InputError, match="but .* is Stable Diffusion XL"):
            extract(first, foreign, RankPolicy(2))


def test_missing_layers_and_nan_are_told(make_checkpoint):
    key = "model.diffusion_model.input_blocks.1.1.proj_in.weight"
    path = make_checkpoint("sd1")
    bad = load_file(path)[key].copy()
    bad[0, 0] = np.nan
    odd = make_checkpoint("sd1", "odd.safetensors", changes={key: np.zeros((2, 2), np.float16)})
    broken = make_checkpoint("sd1", "nan.safetensors", seed=2, changes={key: bad})
    with TensorFile(path) as original, TensorFile(odd) as wrong, TensorFile(broken) as nan:
        with pytest.raises(FaultsError, match="instead of"):
            extract(original, wrong, RankPolicy(2))
        with pytest.raises(InputError, match="NaN"):
            extract(original, nan, RankPolicy(2))
