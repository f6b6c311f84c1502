"""The layers of real models, made by rule: what LoRA files and checkpoints of each family hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib_copier.lora.layout import slots_for
from lib_copier.lora.names import is_conv_target, is_default_target, lora_slots
from lib_copier.model_file.families import SD1, SD2, SDXL, Family

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sizes:
    """What tells one model's tensors from another's."""

    family: Family
    channels: tuple[int, ...]
    depths: tuple[int, ...]
    """Transformer blocks by level; 0: no attention there."""
    cross_width: int
    texts: tuple[tuple[int, int], ...]
    """(width, layers) of each text encoder."""
    has_linear_projections: bool = False
    label_width: int = 0


SD15 = Sizes(SD1, (320, 640, 1280, 1280), (1, 1, 1, 0), 768, ((768, 12),))
SD21 = Sizes(SD2, (320, 640, 1280, 1280), (1, 1, 1, 0), 1024, ((1024, 23),), True)
SDXL_BASE = Sizes(SDXL, (320, 640, 1280), (0, 2, 10), 2048, ((768, 12), (1280, 32)), True, 2816)


def checkpoint_shapes(sizes: Sizes) -> dict[str, Shape]:
    """Key -> shape of a single-file checkpoint with these sizes."""
    shapes: dict[str, Shape] = {}
    parts = {"unet": unet_shapes(sizes), "vae": vae_shapes()}
    for encoder, (width, layers) in zip(sizes.family.text_encoders, sizes.texts, strict=True):
        parts[encoder.part] = text_shapes(width, layers, has_projection=encoder.part == "text_encoder_2")
    for part, named in parts.items():
        for name, slot in slots_for(part, named, sizes.family).items():
            rows, *rest = named[name]
            shapes[slot.key] = (rows if slot.third is None else 3 * rows, *rest)
            if part == "vae" and ".attentions." in name and name.endswith("weight") and rest:
                shapes[slot.key] = (rows, *rest, 1, 1)
    return shapes


def lora_shapes(sizes: Sizes, *, has_conv: bool = False) -> dict[str, Shape]:
    """kohya's LoRA layer -> shape of its weight, for what `networks.lora` trains."""
    shapes = checkpoint_shapes(sizes)
    found: dict[str, Shape] = {}
    for name, slot in lora_slots(shapes, sizes.family).items():
        rows, *rest = shapes[slot.key]
        if rest and (is_default_target(name) or (has_conv and is_conv_target(name))):
            found[name] = (rows if slot.third is None else rows // 3, *rest)
    return found


def unet_shapes(sizes: Sizes) -> dict[str, Shape]:
    """diffusers name -> shape of a U-Net."""
    first, last = sizes.channels[0], len(sizes.channels) - 1
    time = 4 * first
    shapes: dict[str, Shape] = {}
    _layer(shapes, "conv_in", (first, 4, 3, 3))
    _layer(shapes, "time_embedding.linear_1", (time, first))
    _layer(shapes, "time_embedding.linear_2", (time, time))
    if sizes.label_width:
        _layer(shapes, "add_embedding.linear_1", (time, sizes.label_width))
        _layer(shapes, "add_embedding.linear_2", (time, time))
    skips, width = [first], first
    for level, out in enumerate(sizes.channels):
        for layer in range(2):
            _resnet(shapes, f"down_blocks.{level}.resnets.{layer}", width, out, time)
            _attention(shapes, f"down_blocks.{level}.attentions.{layer}", out, sizes.depths[level], sizes)
            width = out
            skips.append(out)
        if level < last:
            _layer(shapes, f"down_blocks.{level}.downsamplers.0.conv", (out, out, 3, 3))
            skips.append(out)
    for layer in range(2):
        _resnet(shapes, f"mid_block.resnets.{layer}", width, width, time)
    _attention(shapes, "mid_block.attentions.0", width, max(sizes.depths[-1], 1), sizes)
    for level, out in enumerate(reversed(sizes.channels)):
        depth = sizes.depths[last - level]
        for layer in range(3):
            _resnet(shapes, f"up_blocks.{level}.resnets.{layer}", width + skips.pop(), out, time)
            _attention(shapes, f"up_blocks.{level}.attentions.{layer}", out, depth, sizes)
            width = out
        if level < last:
            _layer(shapes, f"up_blocks.{level}.upsamplers.0.conv", (out, out, 3, 3))
    _layer(shapes, "conv_norm_out", (first,))
    _layer(shapes, "conv_out", (4, first, 3, 3))
    return shapes


def _layer(shapes: dict[str, Shape], name: str, shape: Shape, *, has_bias: bool = True) -> None:
    shapes[f"{name}.weight"] = shape
    if has_bias:
        shapes[f"{name}.bias"] = shape[:1]


def _resnet(shapes: dict[str, Shape], name: str, width: int, out: int, time: int) -> None:
    _layer(shapes, f"{name}.norm1", (width,))
    _layer(shapes, f"{name}.conv1", (out, width, 3, 3))
    if time:
        _layer(shapes, f"{name}.time_emb_proj", (out, time))
    _layer(shapes, f"{name}.norm2", (out,))
    _layer(shapes, f"{name}.conv2", (out, out, 3, 3))
    if width != out:
        _layer(shapes, f"{name}.conv_shortcut", (out, width, 1, 1))


def _attention(shapes: dict[str, Shape], name: str, width: int, depth: int, sizes: Sizes) -> None:
    if not depth:
        return
    square = (width, width) if sizes.has_linear_projections else (width, width, 1, 1)
    _layer(shapes, f"{name}.norm", (width,))
    _layer(shapes, f"{name}.proj_in", square)
    for block in range(depth):
        head = f"{name}.transformer_blocks.{block}"
        for attention, source in (("attn1", width), ("attn2", sizes.cross_width)):
            _layer(shapes, f"{head}.{attention}.to_q", (width, width), has_bias=False)
            _layer(shapes, f"{head}.{attention}.to_k", (width, source), has_bias=False)
            _layer(shapes, f"{head}.{attention}.to_v", (width, source), has_bias=False)
            _layer(shapes, f"{head}.{attention}.to_out.0", (width, width))
        _layer(shapes, f"{head}.ff.net.0.proj", (8 * width, width))
        _layer(shapes, f"{head}.ff.net.2", (width, 4 * width))
        for norm in (1, 2, 3):
            _layer(shapes, f"{head}.norm{norm}", (width,))
    _layer(shapes, f"{name}.proj_out", square)


def text_shapes(width: int, layers: int, *, has_projection: bool) -> dict[str, Shape]:
    """transformers name -> shape of a CLIP text encoder."""
    shapes: dict[str, Shape] = {
        "text_model.embeddings.token_embedding.weight": (49408, width),
        "text_model.embeddings.position_embedding.weight": (77, width),
    }
    for layer in range(layers):
        head = f"text_model.encoder.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            _layer(shapes, f"{head}.self_attn.{name}", (width, width))
        _layer(shapes, f"{head}.mlp.fc1", (4 * width, width))
        _layer(shapes, f"{head}.mlp.fc2", (width, 4 * width))
        _layer(shapes, f"{head}.layer_norm1", (width,))
        _layer(shapes, f"{head}.layer_norm2", (width,))
    _layer(shapes, "text_model.final_layer_norm", (width,))
    if has_projection:
        shapes["text_projection.weight"] = (width, width)
    return shapes


def vae_shapes(channels: Sequence[int] = (128, 256, 512, 512)) -> dict[str, Shape]:
    """diffusers name -> shape of the VAE, which all families share."""
    shapes: dict[str, Shape] = {}
    top, last = channels[-1], len(channels) - 1
    _layer(shapes, "encoder.conv_in", (channels[0], 3, 3, 3))
    width = channels[0]
    for level, out in enumerate(channels):
        for layer in range(2):
            _resnet(shapes, f"encoder.down_blocks.{level}.resnets.{layer}", width, out, 0)
            width = out
        if level < last:
            _layer(shapes, f"encoder.down_blocks.{level}.downsamplers.0.conv", (out, out, 3, 3))
    for level, out in enumerate(reversed(channels)):
        for layer in range(3):
            _resnet(shapes, f"decoder.up_blocks.{level}.resnets.{layer}", width, out, 0)
            width = out
        if level < last:
            _layer(shapes, f"decoder.up_blocks.{level}.upsamplers.0.conv", (out, out, 3, 3))
    for side in ("encoder", "decoder"):
        for layer in range(2):
            _resnet(shapes, f"{side}.mid_block.resnets.{layer}", top, top, 0)
        _layer(shapes, f"{side}.mid_block.attentions.0.group_norm", (top,))
        for name in ("to_q", "to_k", "to_v", "to_out.0"):
            _layer(shapes, f"{side}.mid_block.attentions.0.{name}", (top, top))
    _layer(shapes, "encoder.conv_norm_out", (top,))
    _layer(shapes, "encoder.conv_out", (8, top, 3, 3))
    _layer(shapes, "decoder.conv_in", (top, 4, 3, 3))
    _layer(shapes, "decoder.conv_norm_out", (channels[0],))
    _layer(shapes, "decoder.conv_out", (3, channels[0], 3, 3))
    _layer(shapes, "quant_conv", (8, 8, 1, 1))
    _layer(shapes, "post_quant_conv", (4, 4, 1, 1))
    return shapes
