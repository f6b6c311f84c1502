"""LoRA files: bit-exact round trips, every dialect, and every fault in one message."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lib_copier.errors import FaultsError, InputError
from lib_copier.lora.file import read_lora, write_lora
from lib_copier.lora.layer import Layer, Lora
from lib_copier.model_file.families import SDXL
from lib_copier.model_file.header import legacy_hash, model_hash, read_header

NAME = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"


def halves(rank=4, out=6, width=8, dtype=np.float16, seed=0):
    random = np.random.default_rng(seed)
    up, down = random.standard_normal((out, rank)), random.standard_normal((rank, width))
    return up.astype(dtype), down.astype(dtype)


@pytest.mark.parametrize("precision", ["float", "fp16", "bf16"])
def test_save_then_load_is_bit_exact(tmp_path, make_lora, precision):
    dtype = {"float": np.float32, "fp16": np.float16, "bf16": ml_dtypes.bfloat16}[precision]
    lora = make_lora("sdxl", conv=True, dtype=dtype)
    write_lora(lora, tmp_path / "a.safetensors", precision)
    again = read_lora(tmp_path / "a.safetensors")
    assert again.family is SDXL
    assert again.layers.keys() == lora.layers.keys()
    for name, layer in lora.layers.items():
        assert layer.up.tobytes() == again.layers[name].up.tobytes()
        assert layer.down.tobytes() == again.layers[name].down.tobytes()
        assert layer.alpha == again.layers[name].alpha


def test_metadata_tell_ranks_and_fitting_hashes(tmp_path, make_lora):
    path = tmp_path / "a.safetensors"
    write_lora(make_lora(rank=4, alpha=2.0, conv=True), path)
    metadata = read_header(path).metadata
    assert metadata["ss_network_dim"] == "4"
    assert metadata["ss_network_alpha"] == "2.0"
    assert json.loads(metadata["ss_network_args"]) == {"conv_dim": "4", "conv_alpha": "2.0"}
    assert metadata["sshs_model_hash"] == model_hash(path)
    assert metadata["sshs_legacy_hash"] == legacy_hash(path)
    assert f"{NAME}.lora_up.weight" in load_file(path)


def test_missing_alpha_means_scale_one(tmp_path):
    up, down = halves()
    save_file({f"{NAME}.lora_up.weight": up, f"{NAME}.lora_down.weight": down}, tmp_path / "a.safetensors")
    layer = read_lora(tmp_path / "a.safetensors").layers[NAME]
    assert layer.scale == 1.0
    assert np.allclose(layer.delta(), up.astype(float) @ down.astype(float))


def test_mid_is_folded_into_the_kernel():
    random = np.random.default_rng(3)
    up, mid, down = (random.standard_normal(s) for s in ((5, 3, 1, 1), (3, 2, 3, 3), (2, 4, 1, 1)))
    layer = Layer(up, down, mid, alpha=1.0)
    expected = 0.5 * np.einsum("oaxy,abkl,bixy->oikl", up, mid, down)
    assert layer.weight_shape == (5, 4, 3, 3)
    assert np.allclose(layer.delta(), expected)


DIALECTS = {
    "PEFT": (
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight",
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight",
    ),
    "PEFT, U-Net alone": (
        "base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight",
        "base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight",
    ),
    "diffusers": (
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora.down.weight",
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora.up.weight",
    ),
    "diffusers before 0.22": (
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.up.weight",
    ),
    "kohya": (f"{NAME}.lora_down.weight", f"{NAME}.lora_up.weight"),
    "LyCORIS' wrapper": tuple(
        f"{NAME.replace('lora_unet', 'lycoris')}.lora_{half}.weight" for half in ("down", "up")
    ),
    "single-file names behind a prefix": tuple(
        f"diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.lora_{half}.weight"
        for half in "AB"
    ),
    "kohya with dots": tuple(
        f"lora_unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_{half}.weight"
        for half in ("down", "up")
    ),
    "kohya in single-file names": (
        "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_down.weight",
        "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_up.weight",
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_becomes_kohyas(tmp_path, dialect):
    up, down = halves()
    down_key, up_key = DIALECTS[dialect]
    save_file({down_key: down, up_key: up}, tmp_path / "a.safetensors", {"ss_base_model_version": "sd_v1"})
    lora = read_lora(tmp_path / "a.safetensors")
    assert list(lora.layers) == [NAME]
    assert np.array_equal(lora.layers[NAME].up, up)


def test_peft_names_of_sdxl_become_single_file_names(tmp_path):
    up, down = halves()
    head = "unet.up_blocks.0.attentions.1.transformer_blocks.3.attn2.to_out.0"
    text = "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj"
    tensors = {f"{x}.lora_{half}.weight": m for x in (head, text) for half, m in (("A", down), ("B", up))}
    settings = {"unet.lora_alpha": 2, "text_encoder_2.lora_alpha": 8, "text_encoder_2.use_rslora": True}
    save_file(tensors, tmp_path / "a.safetensors", {"lora_adapter_metadata": json.dumps(settings)})
    lora = read_lora(tmp_path / "a.safetensors")
    assert lora.family is SDXL
    assert lora.layers["lora_unet_output_blocks_1_1_transformer_blocks_3_attn2_to_out_0"].scale == 0.5
    assert lora.layers["lora_te2_text_model_encoder_layers_0_self_attn_q_proj"].scale == 8 / 4**0.5


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (f"{NAME}.oft_blocks", "OFT"),
        (f"{NAME}.set_weight", "replaced weights"),
        ("base_model.model.conv_in.modules_to_save.weight", "modules_to_save"),
        ("base_model.model.mid_block.attentions.0.proj_in.bias", "trained biases"),
        ("base_model.model.mid_block.attentions.0.proj_in.lora_B.bias", "trained biases"),
        ("bundle_emb.x.string_to_param.y", "bundled embedding"),
        ("model.diffusion_model.out.0.weight", "whole model"),
        (f"{NAME}.novelty", "unknown kind"),
    ],
)
def test_other_kinds_are_named_with_their_layers(tmp_path, key, kind):
    up, down = halves()
    tensors = {f"{NAME}.lora_up.weight": up, f"{NAME}.lora_down.weight": down, key: up}
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=kind) as caught:
        read_lora(tmp_path / "a.safetensors")
    assert key in str(caught.value)


@pytest.mark.parametrize("role", ["hada_w1_a", "lokr_w1", "diff"])
def test_a_layer_of_two_kinds_is_a_fault(tmp_path, role):
    up, down = halves()
    tensors = {f"{NAME}.lora_up.weight": up, f"{NAME}.lora_down.weight": down, f"{NAME}.{role}": up}
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(FaultsError, match=f"is LoRA, but has {role} as well"):
        read_lora(tmp_path / "a.safetensors")


def test_all_faults_come_at_once(tmp_path):
    up, down = halves()
    other = NAME.replace("to_q", "to_k")
    third = NAME.replace("to_q", "to_v")
    tensors = {
        f"{NAME}.lora_up.weight": up,
        f"{other}.lora_up.weight": up[:, :3].copy(),
        f"{other}.lora_down.weight": down,
        f"{third}.lora_up.weight": up.astype(np.int32),
        f"{third}.lora_down.weight": down,
    }
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(FaultsError) as caught:
        read_lora(tmp_path / "a.safetensors")
    assert len(caught.value.faults) == 3
    assert "no down" in str(caught.value)
    assert "differ in rank" in str(caught.value)
    assert "I32" in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_nan_and_infinity_are_faults(tmp_path, bad, dtype):
    up, down = halves(dtype=dtype)
    down[1, 2] = bad
    lora = Lora({NAME: Layer(up, down, alpha=1.0)})
    described = {f"{NAME}.lora_up.weight": up, f"{NAME}.lora_down.weight": down}
    save_file(described, tmp_path / "a.safetensors")
    with pytest.raises(FaultsError, match="NaN or infinity"):
        read_lora(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="not finite"):
        write_lora(lora, tmp_path / "b.safetensors", "float")
    assert not (tmp_path / "b.safetensors").exists()


def test_numbers_beyond_half_precision_are_refused(tmp_path):
    lora = Lora({NAME: Layer(np.full((4, 1), 1e6, np.float32), np.ones((1, 4), np.float32), alpha=1.0)})
    with pytest.raises(InputError, match="--save_precision"):
        write_lora(lora, tmp_path / "a.safetensors", "fp16")
    assert list(tmp_path.iterdir()) == []
