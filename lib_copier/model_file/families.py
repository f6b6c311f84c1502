"""Which Stable Diffusion a file belongs to, by its keys and shapes; what is not ours is refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lib_copier.errors import InputError
from lib_copier.model_file.keys import UNET_PREFIX, known_names

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TextEncoder:
    """One text encoder of a family.

    `part` is diffusers' name for it, `key_prefix` where its keys begin in a single file,
    `lora_prefix` what kohya's LoRA names begin with, and `is_open_clip` whether the file keeps
    OpenCLIP's own layout (one `in_proj` matrix for query, key and value).
    """

    part: str
    key_prefix: str
    lora_prefix: str
    is_open_clip: bool


@dataclass(frozen=True)
class Family:
    """What all checkpoints of one Stable Diffusion generation share; sizes come from the tensors."""

    name: str
    label: str
    text_encoders: tuple[TextEncoder, ...]
    cross_attention_width: int
    head_count: int | None
    """Heads of every U-Net attention; None where every head is 64 wide instead."""
    latent_scale: float
    resolution: int
    base_model_version: str
    architecture: str


SD1 = Family(
    name="sd1",
    label="Stable Diffusion 1.x",
    text_encoders=(TextEncoder("text_encoder", "cond_stage_model.transformer.", "lora_te", False),),
    cross_attention_width=768,
    head_count=8,
    latent_scale=0.18215,
    resolution=512,
    base_model_version="sd_v1",
    architecture="stable-diffusion-v1",
)
SD2 = Family(
    name="sd2",
    label="Stable Diffusion 2.x",
    text_encoders=(TextEncoder("text_encoder", "cond_stage_model.model.", "lora_te", True),),
    cross_attention_width=1024,
    head_count=None,
    latent_scale=0.18215,
    resolution=768,
    base_model_version="sd_v2",
    architecture="stable-diffusion-v2-512",
)
SDXL = Family(
    name="sdxl",
    label="Stable Diffusion XL",
    text_encoders=(
        TextEncoder("text_encoder", "conditioner.embedders.0.transformer.", "lora_te1", False),
        TextEncoder("text_encoder_2", "conditioner.embedders.1.model.", "lora_te2", True),
    ),
    cross_attention_width=2048,
    head_count=None,
    latent_scale=0.13025,
    resolution=1024,
    base_model_version="sdxl_base_v1-0",
    architecture="stable-diffusion-xl-v1-base",
)
FAMILIES: dict[str, Family] = {family.name: family for family in (SD1, SD2, SDXL)}


@dataclass(frozen=True)
class FamilyDetails:
    """What a checkpoint's keys say beyond its family.

    `prediction_type` is None where the keys do not tell (SD2 768-v looks like SD2 base).
    """

    family: Family
    in_channels: int
    prediction_type: str | None
    zero_terminal_snr: bool

    @property
    def is_inpainting(self) -> bool:
        return self.in_channels == 9


_FOREIGN = (
    ("joint_blocks.", "Stable Diffusion 3"),
    ("double_stream_layers.", "AuraFlow"),
    ("individual_token_refiner.", "Hunyuan Video"),
    ("distilled_guidance_layer.", "Chroma"),
    ("double_blocks.", "Flux"),
    ("cap_embedder.", "Lumina"),
    ("effnet_mapper.", "Stable Cascade"),
    ("clip_txt_mapper.", "Stable Cascade"),
    ("encoder_hid_proj.", "Kolors"),
    ("mlp_t5.", "HunyuanDiT"),
    ("t5_yproj.", "Mochi"),
    ("txt_norm.", "Qwen-Image"),
    ("time_mix", "Stable Video Diffusion"),
    ("pos_embedder.", "Cosmos"),
    ("y_embedder.", "PixArt"),
    ("adaln_single.", "PixArt"),
    ("cond_stage_model.roberta.", "AltDiffusion"),
    ("noise_augmentor.", "Stable Diffusion 2.1 unCLIP"),
    ("embedder.model.visual.", "Stable Diffusion 2.1 unCLIP"),
    ("cond_stage_model.model.visual.", "Stable Diffusion image variations"),
    ("time_embed.cond_proj.", "a latent consistency model, which takes the guidance as an input"),
    ("edm_mean", "Playground v2.5, which has a noise schedule of its own"),
    ("edm_vpred.", "CosXL, which has a noise schedule of its own"),
)
"""A part of a key that only one foreign architecture has, and its name; the first that is found counts."""

_CHANNELS = {
    5: "a depth model",
    7: "an upscaler",
    8: "an image-editing model (instruct-pix2pix)",
    9: "an inpainting model",
}
"""What U-Nets with further input channels do."""
_REFINER_WIDTH = 1280
_KOLORS_LABELS = 5632


def detect_family(
    shapes: Mapping[str, Shape],
    metadata: Mapping[str, str] | None = None,
    *,
    allow_inpainting: bool = False,
) -> FamilyDetails:
    """Tell which family a single-file checkpoint belongs to.

    Parameters
    ----------
    shapes:
        Every key of the file with its shape. Sizes do not matter: tiny models are told as well.
    metadata:
        The header's metadata; `modelspec.prediction_type` is read from it.
    allow_inpainting:
        Accept U-Nets with extra input channels (merging a LoRA works there, training does not).

    Raises
    ------
    InputError
        Where the file is another architecture, a refiner, a LoRA, or no checkpoint at all.
    """
    shapes = {usual: shapes[name] for usual, name in known_names(shapes).items()}
    _refuse_foreign(shapes)
    family = _family_by_keys(shapes)
    first = shapes.get(f"{UNET_PREFIX}input_blocks.0.0.weight")
    if first is None or len(first) != 4:
        raise InputError(
            "The checkpoint has no U-Net input layer (model.diffusion_model.input_blocks.0.0.weight).",
            "Give a whole single-file checkpoint.",
        )
    details = FamilyDetails(
        family=family,
        in_channels=first[1],
        prediction_type=_prediction_type(shapes, metadata or {}),
        zero_terminal_snr="ztsnr" in shapes,
    )
    if first[1] != 4 and not allow_inpainting:
        raise InputError(
            f"The checkpoint is {_CHANNELS.get(first[1], 'a special model')}: its U-Net takes {first[1]} "
            "channels instead of 4.",
            f"Choose an ordinary {family.label} checkpoint.",
        )
    return details


def _refuse_foreign(shapes: Mapping[str, Shape]) -> None:
    """Name the architecture of a file that is not a Stable Diffusion 1, 2 or XL single file."""
    if not shapes:
        raise InputError("The file holds no tensors.", "Give a whole single-file checkpoint.")
    for key in shapes:
        if "lora_down" in key or "lora_A" in key or ".hada_w1" in key or ".lokr_w1" in key:
            raise InputError(
                f"The file is a LoRA, not a checkpoint (it has {key}).", "Swap the two file options."
            )
    for mark, name in _FOREIGN:
        found = next((key for key in shapes if mark in key), None)
        if found is not None:
            raise _refusal(name, found)
    if not any(key.startswith(UNET_PREFIX) for key in shapes):
        if any(key.startswith(("down_blocks.", "unet.down_blocks.")) for key in shapes):
            raise InputError(
                "The file holds a U-Net in diffusers' layout, not a single-file checkpoint.",
                "Convert the diffusers folder to a single file first.",
            )
        raise InputError(
            f"The file is no Stable Diffusion checkpoint (first key: {next(iter(shapes))}).",
            "Choose a single-file checkpoint of Stable Diffusion 1.x, 2.x or XL.",
        )


def _refusal(name: str, key: str) -> InputError:
    return InputError(
        f"The checkpoint is {name} (it has {key}), and is not supported.",
        "Choose an ordinary Stable Diffusion 1.x, 2.x or XL checkpoint.",
    )


def _family_by_keys(shapes: Mapping[str, Shape]) -> Family:
    """The family by its text encoders, else by the U-Net's own marks."""
    label = shapes.get(f"{UNET_PREFIX}label_emb.0.0.weight", (0, 0))
    width = next((shape[1] for key, shape in shapes.items() if key.endswith("attn2.to_k.weight")), 0)
    if label[-1] == _KOLORS_LABELS:
        raise _refusal("Kolors", f"{UNET_PREFIX}label_emb")
    for family in (SDXL, SD2, SD1):
        prefix = family.text_encoders[-1].key_prefix
        if any(key.startswith(prefix) for key in shapes):
            return family
    is_refiner = any(key.startswith("conditioner.embedders.0.model.") for key in shapes)
    if is_refiner or label[-1] and width == _REFINER_WIDTH:
        raise InputError(
            "The checkpoint is the SDXL refiner, which LoRAs of this kind do not fit.",
            "Choose an SDXL base checkpoint.",
        )
    if label[-1]:
        return SDXL
    for family in FAMILIES.values():
        if family.cross_attention_width == width:
            return family
    raise InputError(
        f"The checkpoint has no text encoder, and its cross-attention width {width} tells no family.",
        "Choose a whole checkpoint of Stable Diffusion 1.x, 2.x or XL.",
    )


def _prediction_type(shapes: Mapping[str, Shape], metadata: Mapping[str, str]) -> str | None:
    """`epsilon`, `v_prediction`, or None: by the marker key first, then by the metadata."""
    if "v_pred" in shapes:
        return "v_prediction"
    told = metadata.get("modelspec.prediction_type", "").lower()
    if told in ("v", "v_prediction", "v-prediction"):
        return "v_prediction"
    return "epsilon" if told in ("epsilon", "eps") else None


def detect_lora_family(shapes: Mapping[str, Shape], metadata: Mapping[str, str]) -> Family | None:
    """Tell which family a LoRA's keys (in any dialect) belong to, or None where nothing tells.

    Key names decide first, then the width that cross-attention reads, then the metadata: so an
    SDXL LoRA with false metadata is still told from an SD1 one.
    """
    for key in shapes:
        if key.startswith(("lora_te1_", "lora_te2_", "text_encoder_2.", "lora_unet_label_emb")):
            return SDXL
    for key, shape in shapes.items():
        if re.search(r"attn2[._]to_[kv]\.(lora_down|lora_A|lora\.down)", key) and len(shape) in (2, 4):
            for family in FAMILIES.values():
                if family.cross_attention_width == shape[1]:
                    return family
    version = metadata.get("ss_base_model_version", "")
    if version.startswith("sdxl"):
        return SDXL
    if version.startswith("sd_v2") or metadata.get("ss_v2") == "True":
        return SD2
    return SD1 if version.startswith("sd_v1") else None
