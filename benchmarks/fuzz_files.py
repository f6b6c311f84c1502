"""Small sound model files and pictures, made in code and the same each time."""

from __future__ import annotations

import io
import json
import re
import struct
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.shapes import Sizes, checkpoint_shapes
from lib_copier.model_file.families import SD1

_LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
_DIFFUSERS = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


def _safetensors(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    """A safetensors file; the package's own writer puts the metadata in another order each time."""
    names = {"float32": "F32", "float16": "F16"}
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, values in tensors.items():
        place = [at, at + values.nbytes]
        header[name] = {"dtype": names[values.dtype.name], "shape": values.shape, "data_offsets": place}
        at += values.nbytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(values.tobytes() for values in tensors.values())


def _ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def loras() -> list[bytes]:
    """kohya's LoRA, DoRA, LoHa, LoKr, diffusers' and PEFT's spelling, full differences, a text encoder."""
    pair = {f"{_LAYER}.lora_down.weight": _ones(2, 8), f"{_LAYER}.lora_up.weight": _ones(8, 2)}
    conv = "lora_unet_down_blocks_0_resnets_0_conv1"
    notes = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": "2",
        "ss_network_args": json.dumps({"conv_dim": 4, "conv_alpha": "1"}),
        "ss_base_model_version": "sd_v1",
        "ss_v2": "False",
        "ss_tag_frequency": json.dumps({"a": {"b": 3}}),
        "sshs_legacy_hash": "0a1b2c3d",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "lora_adapter_metadata": json.dumps({"unet.lora_alpha": 16, "unet.r": 2}),
    }
    rest: list[dict[str, np.ndarray]] = [
        {**pair, f"{_LAYER}.alpha": np.array(1.0, np.float32), f"{_LAYER}.dora_scale": _ones(8, 1)},
        {f"{_LAYER}.hada_w1_a": _ones(8, 2), f"{_LAYER}.hada_w1_b": _ones(2, 8)}
        | {f"{_LAYER}.hada_w2_a": _ones(8, 2), f"{_LAYER}.hada_w2_b": _ones(2, 8)},
        {
            f"{_LAYER}.lokr_w1": _ones(2, 2),
            f"{_LAYER}.lokr_w2": _ones(4, 4),
            f"{_LAYER}.alpha": np.array(1.0, np.float32),
        },
        {f"{conv}.lora_down.weight": _ones(2, 4, 3, 3), f"{conv}.lora_up.weight": _ones(8, 2, 1, 1)},
        {f"{conv}.lora_mid.weight": _ones(2, 2, 3, 3), f"{conv}.lora_down.weight": _ones(2, 4, 1, 1)}
        | {f"{conv}.lora_up.weight": _ones(8, 2, 1, 1)},
        {f"{_LAYER}.diff": _ones(8, 8), f"{_LAYER}.diff_b": _ones(8)},
        {f"{_DIFFUSERS}.lora_A.weight": _ones(2, 8), f"{_DIFFUSERS}.lora_B.weight": _ones(8, 2)},
        {f"{_DIFFUSERS}.lora.down.weight": _ones(2, 8), f"{_DIFFUSERS}.lora.up.weight": _ones(8, 2)},
        {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": _ones(2, 8)}
        | {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": _ones(8, 2)},
    ]
    return [_safetensors(tensors, notes) for tensors in (pair, *rest)]


def peft_lora() -> bytes:
    """The weights of a PEFT folder; what `peft_config` says decides their strength."""
    name = _DIFFUSERS.replace("unet.", "base_model.model.", 1)
    return _safetensors({f"{name}.lora_A.weight": _ones(2, 8), f"{name}.lora_B.weight": _ones(8, 2)})


@lru_cache(maxsize=1)
def checkpoint() -> bytes:
    """Every key of an SD1 checkpoint at tiny sizes, but for most of the VAE."""
    shapes = checkpoint_shapes(Sizes(SD1, (16, 24), (1, 0), 20, ((20, 2),)))
    tensors = {
        key: np.zeros((64, *shape[1:]) if "token_embedding" in key else shape, np.float16)
        for key, shape in shapes.items()
        if not key.startswith("first_stage_model.") or "quant_conv" in key
    }
    return _safetensors(tensors, {"format": "pt", "modelspec.title": "tiny", "modelspec.architecture": "x"})


def pickles() -> list[bytes]:
    """Checkpoints as torch saves them: zip and old format, plain and with what trainers leave in them."""
    import torch

    one = {"model.diffusion_model.out.2.weight": torch.ones(2, 3)}
    full = {"state_dict": {**one, "x": torch.ones(4).bfloat16()}, "global_step": 3, "notes": ["a", None]}
    found = []
    # The old format puts tensors in the order of their addresses: one of them has one order.
    for content, is_zip in (
        (one, True),
        (full, True),
        (one, False),
        ({"state_dict": one, "loss": 0.5}, False),
    ):
        stream = io.BytesIO()
        torch.save(content, stream, _use_new_zipfile_serialization=is_zip)
        found.append(_without_addresses(stream.getvalue()))
    return found


def _without_addresses(pickled: bytes) -> bytes:
    """The old format names a tensor's memory by its address, another one each time, of 9 to 16 digits.

    A pickle tells the length of a text before it, as X and four bytes.
    """
    return re.sub(rb"X[\x09-\x10]\0\0\0\d{9,16}(?!\d)", b"X\x0f\0\0\0" + b"1" * 15, pickled)


@lru_cache(maxsize=1)
def pictures() -> list[bytes]:
    """Every format that is read, several modes, with a profile, EXIF data, text chunks and frames."""
    from PIL import Image, ImageCms, PngImagePlugin, features

    from lib_copier.image.colour import matrix_profile

    base = Image.linear_gradient("L").resize((72, 64))
    colours = Image.merge("RGB", (base, base.transpose(Image.Transpose.FLIP_LEFT_RIGHT), base))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA001] = 2
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a house\nSteps: 20, Sampler: Euler a, Seed: 1")
    text.add_itxt("note", "値", zip=True)
    linear = matrix_profile(((0.3127, 0.329), (0.64, 0.33), (0.3, 0.6), (0.15, 0.06)), (1.0,))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frames: dict[str, Any] = {"save_all": True, "append_images": [colours.rotate(180)]}
    deep = Image.fromarray(np.arange(64 * 72, dtype=np.uint16).reshape(64, 72))
    wanted: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (colours, "PNG", {"pnginfo": text, "icc_profile": linear, "exif": exif}),
        (colours.convert("RGBA"), "PNG", frames),
        (colours.quantize(8), "PNG", {"transparency": 2}),
        (deep, "PNG", {}),
        (base.convert("1"), "PNG", {}),
        (colours, "JPEG", {"icc_profile": srgb, "exif": exif}),
        (colours, "JPEG", {"progressive": True}),
        (colours.convert("CMYK"), "JPEG", {}),
        (colours, "GIF", frames),
        (colours, "BMP", {}),
        (colours, "TIFF", {"compression": "tiff_lzw", "icc_profile": linear}),
        (colours.convert("CMYK"), "TIFF", {}),
        (base.convert("F"), "TIFF", {}),
        (colours, "WEBP", {"icc_profile": linear, "exif": exif}),
        (colours.convert("RGBA"), "WEBP", frames | {"lossless": True}),
    ]
    if features.check("avif"):
        wanted += [(colours, "AVIF", {"exif": exif, "speed": 10}), (colours, "AVIF", frames | {"speed": 10})]
    found = []
    for picture, kind, options in wanted:
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        found.append(stream.getvalue())
    return found


def published(recipe: bytes) -> bytes:
    """A LoRA that carries a recipe."""
    from lib_copier.steps.publish import RECIPE_KEY

    layer = {f"{_LAYER}.lora_down.weight": _ones(2, 8), f"{_LAYER}.lora_up.weight": _ones(8, 2)}
    return _safetensors(layer, {RECIPE_KEY: recipe.decode()})
