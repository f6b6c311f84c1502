"""A gain changes what weight 1 means, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.lora.file import read_lora, write_lora
from lib_copier.lora.gain import scale, stored_precision
from lib_copier.lora.layer import Layer, Lora


def made(seed: int, *, alpha: float | None = 4.0, dtype: type = np.float16) -> Lora:
    draw = np.random.default_rng(seed)
    up, down = (draw.normal(size=shape).astype(dtype) for shape in ((6, 3), (3, 5)))
    return Lora(
        {"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q": Layer(up, down, alpha=alpha)}
    )


@given(
    seed=st.integers(0, 99),
    gain=st.floats(0.25, 4.0),
    alpha=st.none() | st.floats(0.5, 64.0, width=32),
)
def test_weight_1_is_weight_gain_of_before(seed, gain, alpha):
    lora = made(seed, alpha=alpha)
    for name, layer in scale(lora, gain).layers.items():
        before = lora.layers[name]
        np.testing.assert_allclose(layer.delta(), gain * before.delta(), rtol=1e-12)
        assert layer.up is before.up and layer.down is before.down


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_file_keeps_its_factors_bit_for_bit(tmp_path, dtype):
    lora = made(1, dtype=dtype)
    write_lora(scale(lora, 1.303), tmp_path / "x.safetensors", stored_precision(lora))
    (layer,), (before,) = read_lora(tmp_path / "x.safetensors").layers.values(), lora.layers.values()
    assert layer.up.dtype == dtype and (layer.up == before.up).all() and (layer.down == before.down).all()
    assert layer.alpha == pytest.approx(4.0 * 1.303, rel=1e-7)
