"""Module configurations read from the tensor shapes of a checkpoint in the original layout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lib_copier.errors import InputError
from lib_copier.model_file.families import SDXL, Family
from lib_copier.model_file.keys import UNET_PREFIX

Shapes = Mapping[str, tuple[int, ...]]

HEAD_WIDTH = 64
"""Channels of one attention head, in SD2's and SDXL's U-Nets and in every CLIP text encoder."""
TEXT_LAYERS = {768: 12, 1024: 24, 1280: 32}
"""Layers of the text encoders that exist, by their width: CLIP-L, OpenCLIP H and OpenCLIP bigG."""


def unet_config(shapes: Shapes, family: Family) -> dict[str, Any]:
    """Arguments of diffusers' `UNet2DConditionModel` for the U-Net under `UNET_PREFIX`.

    Channels and transformer depth of each level, layers a level, cross-attention width and the kind
    of projection come from the shapes. Heads cannot: SD1 has eight at every level, SD2 and SDXL as many
    as 64 channels give.

    Raises
    ------
    InputError
        If a tensor that decides a size is missing.
    """
    firsts, layers = _first_blocks(shapes)
    channels = [
        _shape(shapes, f"{UNET_PREFIX}input_blocks.{block}.0.out_layers.3.weight")[0] for block in firsts
    ]
    depths = [_depth(shapes, f"{UNET_PREFIX}input_blocks.{block}.1.") for block in firsts]
    middle_depth = _depth(shapes, f"{UNET_PREFIX}middle_block.1.")
    if not middle_depth:
        raise InputError(
            "The U-Net's middle block has no attention: a pruned model such as SSD-1B or Segmind Vega.",
            "Choose a whole SD1, SD2 or SDXL checkpoint.",
        )
    if depths[-1] not in (0, middle_depth):
        raise InputError(
            f"The U-Net's middle block is {middle_depth} layers deep, its last level {depths[-1]}.",
            "Such a layout is not supported.",
        )
    depths[-1] = middle_depth
    with_attention = [f"{UNET_PREFIX}input_blocks.{block}.1.norm.weight" in shapes for block in firsts]
    transformer = UNET_PREFIX + "middle_block.1."
    config: dict[str, Any] = {
        "sample_size": family.resolution // 8,
        "in_channels": _shape(shapes, UNET_PREFIX + "input_blocks.0.0.weight")[1],
        "out_channels": _shape(shapes, UNET_PREFIX + "out.2.weight")[0],
        "block_out_channels": tuple(channels),
        "layers_per_block": layers,
        "down_block_types": tuple("CrossAttnDownBlock2D" if on else "DownBlock2D" for on in with_attention),
        "up_block_types": tuple(
            "CrossAttnUpBlock2D" if on else "UpBlock2D" for on in reversed(with_attention)
        ),
        "transformer_layers_per_block": tuple(max(depth, 1) for depth in depths),
        "cross_attention_dim": _shape(shapes, transformer + "transformer_blocks.0.attn2.to_k.weight")[1],
        "use_linear_projection": len(_shape(shapes, transformer + "proj_in.weight")) == 2,
        # diffusers' name for the number of heads of each level.
        "attention_head_dim": _heads(channels, family),
    }
    label = shapes.get(UNET_PREFIX + "label_emb.0.0.weight")
    if family is SDXL and label is not None:
        # As wide as that text encoder; 1280 where the file holds the U-Net alone.
        pooled = shapes.get(SDXL.text_encoders[1].key_prefix + "positional_embedding", (77, 1280))[1]
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": (label[1] - pooled) // 6,
            "projection_class_embeddings_input_dim": label[1],
        }
    return config


def _first_blocks(shapes: Shapes) -> tuple[list[int], int]:
    """The number of each level's first input block, and how many layers a level has."""
    downs = _indices(shapes, rf"{re.escape(UNET_PREFIX)}input_blocks\.(\d+)\.0\.op\.weight")
    blocks = 1 + max(_indices(shapes, rf"{re.escape(UNET_PREFIX)}input_blocks\.(\d+)\."), default=0)
    levels = len(downs) + 1
    stride = blocks // levels
    if stride < 2 or stride * levels != blocks:
        raise InputError(
            f"The U-Net has {blocks} input blocks on {levels} levels, which is no Stable Diffusion layout.",
            "Use a complete SD1, SD2 or SDXL checkpoint.",
        )
    return [1 + level * stride for level in range(levels)], stride - 1


def vae_config(shapes: Shapes, family: Family) -> dict[str, Any]:
    """Arguments of diffusers' `AutoencoderKL`; `shapes` holds the VAE's tensors without prefix."""
    levels = 1 + max(_indices(shapes, r"encoder\.down\.(\d+)\."), default=-1)
    layers = 1 + max(_indices(shapes, r"encoder\.down\.0\.block\.(\d+)\."), default=-1)
    if levels < 1 or layers < 1:
        raise InputError("The VAE's encoder is missing.", "Use a complete VAE or checkpoint.")
    channels = [_shape(shapes, f"encoder.down.{level}.block.0.conv1.weight")[0] for level in range(levels)]
    return {
        "in_channels": _shape(shapes, "encoder.conv_in.weight")[1],
        "out_channels": _shape(shapes, "decoder.conv_out.weight")[0],
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": tuple(channels),
        "layers_per_block": layers,
        "latent_channels": _shape(shapes, "decoder.conv_in.weight")[1],
        "mid_block_add_attention": "encoder.mid.attn_1.q.weight" in shapes,
        "scaling_factor": family.latent_scale,
        "sample_size": family.resolution,
    }


def clip_config(shapes: Shapes, *, may_be_cut: bool = False) -> dict[str, Any]:
    """Arguments of transformers' `CLIPTextConfig` for a CLIP-L in its own names (``text_model.…``).

    `may_be_cut`: the file may lack the last layers, and the width tells how many there are.
    """
    embedding = _shape(shapes, "text_model.embeddings.token_embedding.weight")
    layers = 1 + max(_indices(shapes, r"text_model\.encoder\.layers\.(\d+)\."), default=-1)
    layers = max(layers, TEXT_LAYERS.get(embedding[1], 0)) if may_be_cut else layers
    feed_forward = _shape(shapes, "text_model.encoder.layers.0.mlp.fc1.weight")[0]
    positions = _shape(shapes, "text_model.embeddings.position_embedding.weight")[0]
    return _text_config(embedding, layers, feed_forward, positions, "quick_gelu")


def open_clip_config(shapes: Shapes, *, may_be_cut: bool = False) -> dict[str, Any]:
    """The same for an OpenCLIP encoder (``transformer.resblocks.…``, names without prefix)."""
    embedding = _shape(shapes, "token_embedding.weight")
    layers = open_clip_layers(shapes)
    layers = max(layers, TEXT_LAYERS.get(embedding[1], 0)) if may_be_cut else layers
    feed_forward = _shape(shapes, "transformer.resblocks.0.mlp.c_fc.weight")[0]
    positions = _shape(shapes, "positional_embedding")[0]
    config = _text_config(embedding, layers, feed_forward, positions, "gelu")
    projection = shapes.get("text_projection")
    return config if projection is None else config | {"projection_dim": projection[1]}


def open_clip_layers(shapes: Shapes) -> int:
    """How many blocks the OpenCLIP encoder has."""
    return 1 + max(_indices(shapes, r"transformer\.resblocks\.(\d+)\."), default=-1)


def _text_config(
    embedding: tuple[int, ...], layers: int, feed_forward: int, positions: int, activation: str
) -> dict[str, Any]:
    vocabulary, width = embedding
    if layers < 1 or width % HEAD_WIDTH:
        raise InputError(
            f"The text encoder has {layers} layers of width {width}, which is no CLIP layout.",
            "Use a complete checkpoint.",
        )
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "projection_dim": width,
        "intermediate_size": feed_forward,
        "num_hidden_layers": layers,
        "num_attention_heads": width // HEAD_WIDTH,
        "max_position_embeddings": positions,
        "hidden_act": activation,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
    }


def _heads(channels: Iterable[int], family: Family) -> int | tuple[int, ...]:
    if family.head_count is not None:
        return family.head_count
    return tuple(max(width // HEAD_WIDTH, 1) for width in channels)


def _depth(shapes: Shapes, prefix: str) -> int:
    return 1 + max(_indices(shapes, rf"{re.escape(prefix)}transformer_blocks\.(\d+)\."), default=-1)


def _indices(shapes: Shapes, pattern: str) -> set[int]:
    matcher = re.compile(pattern)
    return {int(found[1]) for name in shapes if (found := matcher.match(name))}


def _shape(shapes: Shapes, name: str) -> tuple[int, ...]:
    try:
        return tuple(shapes[name])
    except KeyError:
        raise InputError(
            f"The tensor {name} is missing.", "The file is incomplete; download or export it again."
        ) from None
