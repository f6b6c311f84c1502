"""Families are told from keys; what is not ours is refused by name."""

from __future__ import annotations

import pytest

from benchmarks.shapes import SD15, SD21, SDXL_BASE, checkpoint_shapes
from lib_copier.errors import InputError
from lib_copier.model_file.families import SD1, SD2, SDXL, detect_family, detect_lora_family

LABEL = "model.diffusion_model.label_emb.0.0.weight"
CONTEXT = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
FIRST = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.mark.parametrize("sizes", [SD15, SD21, SDXL_BASE], ids=lambda sizes: sizes.family.name)
def test_whole_checkpoints_and_bare_unets(sizes):
    shapes = checkpoint_shapes(sizes)
    assert detect_family(shapes).family is sizes.family
    bare = {key: shape for key, shape in shapes.items() if key.startswith("model.diffusion_model.")}
    assert detect_family(bare).family is sizes.family


def test_markers_tell_the_prediction():
    shapes = checkpoint_shapes(SDXL_BASE)
    assert detect_family(shapes).prediction_type is None
    found = detect_family({**shapes, "v_pred": (0,), "ztsnr": (0,)})
    assert (found.prediction_type, found.zero_terminal_snr) == ("v_prediction", True)
    assert detect_family(shapes, {"modelspec.prediction_type": "epsilon"}).prediction_type == "epsilon"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"model.diffusion_model.joint_blocks.0.x.weight": (4, 4)}, "Stable Diffusion 3"),
        ({"y_embedder.x.weight": (4, 4), "joint_blocks.0.x.weight": (4, 4)}, "Stable Diffusion 3"),
        ({"double_blocks.0.img_attn.qkv.weight": (4, 4)}, "Flux"),
        ({"y_embedder.y_proj.fc1.weight": (4, 4)}, "PixArt"),
        ({"clip_txt_mapper.weight": (4, 4)}, "Stable Cascade"),
        ({"mlp_t5.0.weight": (4, 4)}, "HunyuanDiT"),
        ({FIRST: (8, 4, 3, 3), "edm_mean": (4,)}, "Playground"),
        ({FIRST: (8, 4, 3, 3), "edm_vpred.sigma_max": ()}, "CosXL"),
        ({FIRST: (8, 4, 3, 3), LABEL: (1280, 5632)}, "Kolors"),
        ({FIRST: (8, 4, 3, 3), LABEL: (1536, 2560), CONTEXT: (384, 1280)}, "refiner"),
        ({FIRST: (8, 4, 3, 3), "noise_augmentor.data_mean": (1, 4)}, "unCLIP"),
        ({"lora_unet_x.lora_down.weight": (4, 4)}, "is a LoRA"),
        ({"down_blocks.0.resnets.0.conv1.weight": (4, 4)}, "diffusers"),
        ({"conditioner.embedders.0.model.ln_final.bias": (4,), FIRST: (8, 4, 3, 3)}, "refiner"),
        ({"weights": (4,)}, "no Stable Diffusion checkpoint"),
        ({}, "no tensors"),
    ],
)
def test_refusals_name_what_it_is(keys, told):
    with pytest.raises(InputError, match=told):
        detect_family(keys)


@pytest.mark.parametrize(
    ("channels", "told"), [(5, "depth"), (7, "upscaler"), (8, "pix2pix"), (9, "inpainting")]
)
def test_further_channels_are_refused_by_what_they_are_for(channels, told):
    with pytest.raises(InputError, match=told):
        detect_family({**checkpoint_shapes(SDXL_BASE), FIRST: (320, channels, 3, 3)})


def test_inpainting_is_refused_unless_allowed():
    shapes = {**checkpoint_shapes(SD15), FIRST: (320, 9, 3, 3)}
    with pytest.raises(InputError, match="inpainting"):
        detect_family(shapes)
    assert detect_family(shapes, allow_inpainting=True).is_inpainting


@pytest.mark.parametrize(
    ("key", "shape", "metadata", "family"),
    [
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", (4, 8), {}, SDXL),
        ("lora_unet_a_attn2_to_k.lora_down.weight", (4, 768), {"ss_base_model_version": "sdxl_base"}, SD1),
        ("lora_unet_a_attn2_to_k.lora_down.weight", (4, 1024), {}, SD2),
        ("unet.a.attn2.to_k.lora_A.weight", (4, 2048), {}, SDXL),
        ("lora_unet_a_attn1_to_k.lora_down.weight", (4, 320), {"ss_v2": "True"}, SD2),
        ("lora_unet_a_attn1_to_k.lora_down.weight", (4, 320), {}, None),
    ],
)
def test_lora_family_by_name_then_width_then_metadata(key, shape, metadata, family):
    assert detect_lora_family({key: shape}, metadata) is family
