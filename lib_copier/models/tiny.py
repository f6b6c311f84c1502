"""Checkpoints and LoRAs with random weights: tiny ones for tests, real-size ones to measure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lib_copier.lora.layer import Layer, Lora
from lib_copier.model_file.families import SD2, SDXL, Family
from lib_copier.models.attach import lora_targets
from lib_copier.models.build import without_values
from lib_copier.models.checkpoint import Checkpoint
from lib_copier.models.libraries import prepare_diffusers, prepare_transformers
from lib_copier.models.save import joined_shape, original_keys, write_tensors
from lib_copier.models.sizes import HEAD_WIDTH

VOCABULARY = 49408


@dataclass(frozen=True)
class _Text:
    width: int
    layers: int


@dataclass(frozen=True)
class ModelSize:
    """How large a checkpoint of one family is.

    `channels` and `depths` (transformer layers, 0: no attention) stand for one U-Net level each.
    """

    channels: tuple[int, ...]
    depths: tuple[int, ...]
    middle_depth: int
    text: tuple[_Text, ...]
    vae_channels: tuple[int, ...]
    vae_layers: int
    size_embedding: int = 256
    """Width of each of the six numbers that tell SDXL the picture's size."""


TINY = {
    "sd1": ModelSize((32, 64, 64, 64), (1, 1, 1, 0), 1, (_Text(64, 2),), (32, 32, 32, 32), 1),
    "sd2": ModelSize((64, 64, 128, 128), (1, 1, 1, 0), 1, (_Text(64, 2),), (32, 32, 32, 32), 1),
    "sdxl": ModelSize(
        (64, 64, 128), (0, 1, 2), 2, (_Text(64, 2), _Text(128, 2)), (32, 32, 32, 32), 1, size_embedding=16
    ),
}
REAL = {
    "sd1": ModelSize((320, 640, 1280, 1280), (1, 1, 1, 0), 1, (_Text(768, 12),), (128, 256, 512, 512), 2),
    "sd2": ModelSize((320, 640, 1280, 1280), (1, 1, 1, 0), 1, (_Text(1024, 23),), (128, 256, 512, 512), 2),
    "sdxl": ModelSize(
        (320, 640, 1280), (0, 2, 10), 10, (_Text(768, 12), _Text(1280, 32)), (128, 256, 512, 512), 2
    ),
}


def random_checkpoint(
    path: Path,
    family: Family,
    *,
    size: ModelSize | None = None,
    real_size: bool = False,
    seed: int = 0,
    dtype: torch.dtype = torch.float16,
    markers: tuple[str, ...] = (),
) -> Path:
    """Write a checkpoint with random weights; the same seed gives the same file.

    Weights are scaled so that signals keep their size from layer to layer: such a model paints noise, but
    finite noise, and every layer matters.

    Parameters
    ----------
    size:
        Sizes of one's own; else tiny ones, or with `real_size` those of SD1.5, SD2.1 and SDXL base.
    markers:
        Names of empty tensors to add, such as ``v_pred`` and ``ztsnr``.
    """
    size = size or (REAL if real_size else TINY)[family.name]
    shapes: dict[str, tuple[int, ...]] = {}
    for part, module in random_modules(family, size).items():
        for key, pieces in original_keys(part, module.state_dict(), family).items():
            shapes[key] = joined_shape(pieces)
    if family is SD2:
        shapes |= _unused_sd2_shapes(family, size.text[0])
    for marker in markers:
        shapes[marker] = (0,)
    write_tensors(path, shapes, lambda key: _random_weight(key, shapes[key], seed), dtype)
    return path


def random_modules(family: Family, size: ModelSize) -> dict[str, nn.Module]:
    """The modules of a checkpoint of this size, on the meta device: shapes without values."""
    prepare_diffusers()
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    with without_values():
        modules: dict[str, nn.Module] = {
            "unet": UNet2DConditionModel(**_unet_config(family, size)),
            "vae": AutoencoderKL(**_vae_config(family, size)),
        }
        for encoder, text in zip(family.text_encoders, size.text, strict=True):
            modules[encoder.part] = _text_encoder(
                text, has_projection=encoder.is_open_clip and family is SDXL
            )
    return modules


def random_lora(checkpoint: Checkpoint, *, seed: int = 0, rank: int = 2, strength: float = 0.3) -> Lora:
    """A LoRA with random weights on every module that kohya's trainer can give one, convolutions too.

    `strength` is about how much it changes a layer's output, relative to its input.
    """
    random = np.random.default_rng(seed)
    layers = {}
    for name, module in lora_targets(checkpoint, with_convolutions=True).items():
        out, into, *kernel = module.weight.shape
        down = random.standard_normal((rank, into, *kernel)).astype(np.float32)
        up = random.standard_normal((out, rank, *[1] * len(kernel))).astype(np.float32)
        layers[name] = Layer(
            up * np.float32(strength / (down[0].size * rank) ** 0.5), down, alpha=float(rank)
        )
    return Lora(layers, family=checkpoint.family)


def _unet_config(family: Family, size: ModelSize) -> dict[str, Any]:
    down = tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in size.depths)
    config: dict[str, Any] = {
        "block_out_channels": size.channels,
        "down_block_types": down,
        "up_block_types": tuple(kind.replace("Down", "Up") for kind in reversed(down)),
        "transformer_layers_per_block": (*(max(depth, 1) for depth in size.depths[:-1]), size.middle_depth),
        "cross_attention_dim": sum(text.width for text in size.text),
        "attention_head_dim": family.head_count or tuple(width // HEAD_WIDTH or 1 for width in size.channels),
        "use_linear_projection": family.head_count is None,
    }
    if family is SDXL:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": size.size_embedding,
            "projection_class_embeddings_input_dim": size.text[1].width + 6 * size.size_embedding,
        }
    return config


def _vae_config(family: Family, size: ModelSize) -> dict[str, Any]:
    levels = len(size.vae_channels)
    return {
        "block_out_channels": size.vae_channels,
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "layers_per_block": size.vae_layers,
        "latent_channels": 4,
        "scaling_factor": family.latent_scale,
    }


def _text_encoder(text: _Text, *, has_projection: bool) -> nn.Module:
    prepare_transformers()
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=text.width,
        projection_dim=text.width,
        intermediate_size=4 * text.width,
        num_hidden_layers=text.layers,
        num_attention_heads=text.width // HEAD_WIDTH,
    )
    return CLIPTextModelWithProjection(config) if has_projection else CLIPTextModel(config)


def _unused_sd2_shapes(family: Family, text: _Text) -> dict[str, tuple[int, ...]]:
    """What real SD2 files carry and nobody runs: the last block, the projection and the temperature."""
    prefix, width = family.text_encoders[0].key_prefix, text.width
    block = f"{prefix}transformer.resblocks.{text.layers}."
    shapes: dict[str, tuple[int, ...]] = {
        block + "attn.in_proj_weight": (3 * width, width),
        block + "attn.in_proj_bias": (3 * width,),
        block + "attn.out_proj.weight": (width, width),
        block + "attn.out_proj.bias": (width,),
        block + "mlp.c_fc.weight": (4 * width, width),
        block + "mlp.c_fc.bias": (4 * width,),
        block + "mlp.c_proj.weight": (width, 4 * width),
        block + "mlp.c_proj.bias": (width,),
        prefix + "text_projection": (width, width),
        prefix + "logit_scale": (),
    }
    for norm in ("ln_1", "ln_2"):
        shapes |= {f"{block}{norm}.{kind}": (width,) for kind in ("weight", "bias")}
    return shapes


def _random_weight(key: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Normal numbers of the deviation that keeps a signal's size; its own seed for every key."""
    # A generator on the CPU takes no more than 32 bits.
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode(), seed))
    noise = torch.randn(shape, generator=generator)
    if "embedding" in key and len(shape) == 2:
        return 0.5 * noise
    if len(shape) > 1:
        return noise / prod(shape[1:]) ** 0.5
    return 0.1 * noise + (1.0 if key.endswith("weight") else 0.0)
