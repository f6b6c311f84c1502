"""What keys belong to: layers in every spelling, and the architectures that are not ours by their names."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.shapes import SD15, SD21, SDXL_BASE, checkpoint_shapes, lora_shapes
from lib_copier.errors import InputError
from lib_copier.lora.dialect import holds_adapter, layer_name, parse_key, sort_keys
from lib_copier.lora.file import read_lora
from lib_copier.model_file.families import SD1, SD2, SDXL

TEXT = "encoder.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("source", "family", "name"),
    [
        (f"text_encoder.{TEXT}", SD1, "lora_te_text_model_encoder_layers_0_self_attn_q_proj"),
        (f"text_encoder.text_model.{TEXT}", SD2, "lora_te_text_model_encoder_layers_0_self_attn_q_proj"),
        (f"text_encoder_2.{TEXT}", SDXL, "lora_te2_text_model_encoder_layers_0_self_attn_q_proj"),
        (f"base_model.model.{TEXT}", SD1, "lora_te_text_model_encoder_layers_0_self_attn_q_proj"),
        (
            f"base_model.model.text_model.{TEXT}",
            SDXL,
            "lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
        ),
        ("lora_te_encoder_layers_0_mlp_fc1", SD1, "lora_te_text_model_encoder_layers_0_mlp_fc1"),
        ("lora_te2_text_projection", SDXL, "lora_te2_text_projection"),
        ("lycoris_text_model_encoder_layers_0_mlp_fc1", SDXL, "lora_te1_text_model_encoder_layers_0_mlp_fc1"),
        ("lycoris_mid_block_attentions_0_proj_in", SDXL, "lora_unet_middle_block_1_proj_in"),
        ("model.diffusion_model.middle_block.1.proj_in", SD1, "lora_unet_mid_block_attentions_0_proj_in"),
        ("unet.mid_block.attentions.0.proj_in", SD2, "lora_unet_mid_block_attentions_0_proj_in"),
        ("unet.time_embedding.linear_1", SDXL, "lora_unet_time_embed_0"),
    ],
)
def test_every_spelling_is_one_layer(source, family, name):
    assert layer_name(source, family) == name


def test_text_encoder_keys_of_newer_transformers_are_read(tmp_path):
    """transformers from 5.6 on writes no `text_model.` into its keys."""
    random = np.random.default_rng(0)
    down, up = (
        random.standard_normal((2, 64)).astype(np.float32),
        random.standard_normal((64, 2)).astype(np.float32),
    )
    save_file(
        {f"text_encoder.{TEXT}.lora_A.weight": down, f"text_encoder.{TEXT}.lora_B.weight": up},
        tmp_path / "a.safetensors",
    )
    [(name, layer)] = read_lora(tmp_path / "a.safetensors").layers.items()
    assert name == "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    assert np.allclose(layer.delta(), up @ down, atol=1e-5)


FOREIGN = {
    "Flux": [
        "transformer.double_blocks.0.img_attn.proj.lora_A.weight",
        "lora_unet_double_blocks_0_img_attn_proj.lora_down.weight",
        "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight",
        "lora_unet_single_blocks_7_linear1.lora_down.weight",
        "diffusion_model.double_blocks.0.img_mlp.0.lora_down.weight",
    ],
    "Chroma": ["lora_unet_distilled_guidance_layer_layers_0_in_layer.lora_down.weight"],
    "Stable Diffusion 3": [
        "lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight",
        "transformer.transformer_blocks.0.attn.add_q_proj.lora_A.weight",
    ],
    "Stable Diffusion 3 \\(it has": [
        "transformer.transformer_blocks.0.attn.to_q.lora_A.weight 1536",
        "transformer.transformer_blocks.0.attn2.to_k.lora_A.weight 1536",
        "lora_unet_transformer_blocks_3_attn_add_k_proj.lora_down.weight 2432",
    ],
    "Stable Diffusion 3, Flux or Qwen-Image": ["transformer.transformer_blocks.0.attn.to_q.lora_A.weight"],
    "HunyuanDiT": [
        "lora_unet_blocks_0_attn1_Wqkv.lora_down.weight",
        "lora_unet_blocks_0_mlp_fc1.lora_down.weight",
    ],
    "HunyuanVideo": ["lora_unet_double_blocks_0_img_mlp_fc1.lora_down.weight"],
    "PixArt": ["transformer.transformer_blocks.0.attn1.to_q.lora_A.weight 1152"],
    "LTX-Video": ["diffusion_model.transformer_blocks.0.attn1.to_q.lora_A.weight 2048"],
    "Wan": [
        "diffusion_model.blocks.0.self_attn.q.lora_A.weight",
        "lora_unet_blocks_0_cross_attn_k.lora_down.weight",
        "transformer.blocks.0.attn1.to_q.lora_A.weight",
    ],
    "Z-Image": ["diffusion_model.layers.0.attention.to_q.lora_A.weight"],
    "Lumina": ["lora_unet_layers_0_attention_qkv.lora_down.weight"],
    "Qwen-Image": [
        "transformer_blocks.0.img_mlp.net.2.lora_A.weight",
        "lora_unet_transformer_blocks_0_txt_mod_1.lora_down.weight",
    ],
    "AuraFlow": ["transformer.joint_transformer_blocks.0.attn.to_q.lora_A.weight"],
    "HiDream": ["diffusion_model.double_stream_blocks.0.block.attn1.to_q.lora_A.weight"],
    "T5": ["lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight"],
    "diffusion transformer": ["transformer.novelties.0.to_q.lora_A.weight"],
}


@pytest.mark.parametrize(("told", "key"), [(told, key) for told, keys in FOREIGN.items() for key in keys])
def test_other_architectures_are_refused_by_name(told, key):
    name, _, width = key.partition(" ")
    with pytest.raises(InputError, match=rf"is a LoRA for .*{told}") as caught:
        sort_keys({name: (4, int(width or 3072))}, {}, "a.safetensors")
    assert name in str(caught.value)


@pytest.mark.parametrize("sizes", [SD15, SD21, SDXL_BASE], ids=lambda sizes: sizes.family.name)
def test_no_layer_of_ours_is_taken_for_another_architecture(sizes):
    names = lora_shapes(sizes, has_conv=True)
    shapes = {f"{name}.lora_down.weight": (4, *shape[1:]) for name, shape in names.items()}
    table = sort_keys(shapes, {}, "a.safetensors")
    assert table.family is sizes.family
    assert table.layers.keys() == names.keys()


@pytest.mark.parametrize(
    ("role", "shape"),
    [
        ("lora_down.weight", (4, 2048)),
        ("hada_w1_b", (4, 2048)),
        ("diff", (640, 2048)),
        ("lokr_w2", (20, 2048)),
    ],
)
def test_the_family_is_told_by_what_cross_attention_reads(role, shape):
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    shapes = {f"{name}.{role}": shape}
    if role == "lokr_w2":
        shapes = {f"{name}.lokr_w1": (32, 32), f"{name}.lokr_w2": (20, 64)}
    assert sort_keys(shapes, {"ss_base_model_version": "sd_v1"}, "a").family is SDXL


def test_checkpoints_hold_no_adapter():
    assert not holds_adapter(checkpoint_shapes(SD15))
    assert parse_key("model.diffusion_model.out.2.weight") is None


def test_a_layer_in_two_spellings_is_refused():
    shapes = {
        "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": (4, 2),
        "lora_unet_middle_block_1_proj_in.lora_up.weight": (4, 2),
    }
    with pytest.raises(InputError, match="twice"):
        sort_keys(shapes, {}, "a")
