"""Extraction of what is only rounding: told, layer by layer; what is small but real is extracted."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from lib_copier.errors import InputError
from lib_copier.lora.extract import extract
from lib_copier.lora.rank import RankPolicy
from lib_copier.lora.source import open_checkpoint
from lib_copier.lora.stream import TensorFile
from tests.lora.conftest import save_tensors
from tests.lora.test_quantised import scaled

NUMPY = {"fp32": np.float32, "fp16": np.float16, "bf16": ml_dtypes.bfloat16, "fp8": ml_dtypes.float8_e4m3fn}
LAYER = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"


def cast(weights, dtype):
    return {
        key: value.astype(NUMPY[dtype]) if value.dtype.kind == "f" else value
        for key, value in weights.items()
    }


@pytest.fixture
def weights(make_checkpoint):
    """A tiny SD1 checkpoint in float32, with one matrix large enough to judge small edits by."""
    found = load_file(make_checkpoint("sd1", dtype=np.float32))
    return {key: value for key, value in found.items() if not key.startswith("model_ema")}


def difference(folder, original, tuned):
    first, second = (save_tensors(folder / f"{n}.safetensors", t) for n, t in enumerate((original, tuned)))
    with TensorFile(first) as one, TensorFile(second) as two:
        return extract(one, two, RankPolicy(4, 4), min_diff=0.0, save_precision="float")


@pytest.mark.parametrize(
    ("original", "tuned"),
    [
        ("fp32", "fp16"),
        ("fp32", "bf16"),
        ("fp16", "bf16"),
        ("bf16", "fp32"),
        ("fp16", "fp8"),
        ("fp32", "fp8"),
    ],
)
def test_a_copy_in_another_type_is_told(tmp_path, weights, original, tuned):
    """Both made from one float32 file, as published ones are; the other direction too."""
    with pytest.raises(InputError, match="all that differs is rounding"):
        difference(tmp_path, cast(weights, original), cast(weights, tuned))


@pytest.mark.parametrize("stored", ["fp16", "fp32"])
def test_a_copy_that_was_rounded_on_its_way_is_told(tmp_path, weights, stored):
    once = cast(cast(weights, stored), "bf16")
    with pytest.raises(InputError, match="stored as BF16"):
        difference(tmp_path, cast(weights, stored), cast(once, stored))


def test_a_copy_in_scaled_fp8_is_told(tmp_path, weights):
    tensors, _ = scaled(weights)
    first = save_tensors(tmp_path / "0.safetensors", weights)
    with TensorFile(first) as one:
        two = open_checkpoint(save_tensors(tmp_path / "1.safetensors", tensors))
        with pytest.raises(InputError, match="stored as F8_E4M3"):
            extract(one, two, RankPolicy(4, 4), min_diff=0.0)
        two.close()


@pytest.mark.parametrize(
    ("original", "tuned", "strength"),
    [
        ("fp16", "fp16", 2e-4),
        ("fp32", "fp16", 1e-4),
        ("fp16", "bf16", 2e-3),
        ("fp32", "bf16", 2e-3),
        ("fp32", "fp32", 1e-6),
    ],
)
def test_a_small_edit_is_extracted_and_only_that(tmp_path, weights, original, tuned, strength):
    """Weights are about 0.1, so that one step of fp16 is 1e-4 and of bf16 1e-3."""
    random = np.random.default_rng(0)
    shape = weights[LAYER].shape
    change = np.outer(random.standard_normal(shape[0]), random.standard_normal(shape[1])) * strength
    edited = {**weights, LAYER: (weights[LAYER] + change).astype(np.float32)}
    found, report = difference(tmp_path, cast(weights, original), cast(edited, tuned))
    [name] = found.layers
    assert name == "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    delta = found.layers[name].delta()
    assert (delta * change).sum() / np.linalg.norm(delta) / np.linalg.norm(change) > 0.9
    if original != tuned:
        assert "differ only by rounding" in " ".join(report.remarks)


def test_weights_that_were_zero_are_no_rounding(tmp_path, weights):
    """Tiny numbers round to zero in fp8, and zero is what an untrained layer holds."""
    zero = {**weights, LAYER: np.zeros_like(weights[LAYER])}
    tiny = {**weights, LAYER: np.full_like(weights[LAYER], 1e-4)}
    found, _ = difference(tmp_path, cast(zero, "fp16"), cast(tiny, "fp16"))
    assert len(found.layers) == 1
