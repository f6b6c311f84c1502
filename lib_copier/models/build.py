"""Modules of diffusers and transformers, filled with the tensors of a checkpoint in the original layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lib_copier.errors import InputError
from lib_copier.families import SD1, SD2, SDXL, VAE_PREFIX, Family
from lib_copier.models import sizes

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

Tensors = dict[str, torch.Tensor]

# Under these names the converters look; ours are set before them whatever the family.
_CLIP_PREFIX = SD1.text_encoders[0].key_prefix
_OPEN_CLIP_PREFIX = SDXL.text_encoders[1].key_prefix
_SD2_LAYERS = 24
_LAYOUTS = {4: torch.channels_last}
"""What tensors may stay in beside the usual layout, by their number of axes."""
_NOT_PARAMETERS = ("position_ids", "attn_mask", "logit_scale")


@dataclass(frozen=True)
class Placement:
    """Where a module's tensors go, and as what."""

    device: torch.device
    dtype: torch.dtype

    def place(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor there; a copy where it is a part of something larger, which could not be let go."""
        placed = tensor.to(self.device, self.dtype)
        if not placed.is_contiguous(memory_format=_LAYOUTS.get(placed.ndim, torch.contiguous_format)):
            placed = placed.contiguous()
        return placed.clone() if placed.untyped_storage().nbytes() != placed.nbytes else placed


def build_unet(
    tensors: Tensors, shapes: sizes.Shapes, family: Family, placement: Placement
) -> UNet2DConditionModel:
    """The U-Net, of the tensors under `UNET_PREFIX`, which it takes over: each is let go once it is in
    place, so that the largest part of a checkpoint is not held twice.

    `shapes` is the whole file's: SDXL's text encoder tells how pooled text and picture sizes share one input.
    """
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    config = sizes.unet_config(shapes, family)
    converted = convert_ldm_unet_checkpoint(tensors, config)
    tensors.clear()
    return _filled("U-Net", lambda: UNet2DConditionModel(**config), converted, placement)


def build_vae(tensors: Tensors, family: Family, placement: Placement) -> AutoencoderKL:
    """The VAE; `tensors` holds its tensors with or without `VAE_PREFIX` before their names."""
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    own = without_prefix(tensors, VAE_PREFIX) or tensors
    config = sizes.vae_config(_shapes(own), family)
    named = {VAE_PREFIX + name: tensor for name, tensor in own.items()}
    return _filled(
        "VAE", lambda: AutoencoderKL(**config), convert_ldm_vae_checkpoint(named, config), placement
    )


def build_text_encoders(
    tensors: Tensors, family: Family, placement: Placement
) -> tuple[CLIPTextModel | CLIPTextModelWithProjection, ...]:
    """The family's text encoders: CLIP-L for SD1, OpenCLIP for SD2, both in this order for SDXL."""
    encoders: list[Any] = []
    for encoder in family.text_encoders:
        own = without_prefix(tensors, encoder.key_prefix)
        if encoder.is_open_clip:
            encoders.append(_open_clip(own, placement, is_cut=family is SD2))
        else:
            encoders.append(_clip(own, placement))
    return tuple(encoders)


def without_prefix(tensors: Tensors, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors under a prefix, named without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _clip(own: dict[str, torch.Tensor], placement: Placement) -> CLIPTextModel:
    from diffusers.loaders.single_file_utils import convert_ldm_clip_checkpoint
    from transformers import CLIPTextConfig, CLIPTextModel

    if "embeddings.token_embedding.weight" in own:
        # Some old merges were saved by a transformers that left this level out.
        own = {"text_model." + name: tensor for name, tensor in own.items()}
    config = sizes.clip_config(_shapes(own))
    converted = convert_ldm_clip_checkpoint({_CLIP_PREFIX + name: tensor for name, tensor in own.items()})
    converted = {name: tensor for name, tensor in converted.items() if name.startswith("text_model.")}
    return _filled("text encoder", lambda: CLIPTextModel(CLIPTextConfig(**config)), converted, placement)


def _open_clip(
    own: dict[str, torch.Tensor], placement: Placement, *, is_cut: bool
) -> CLIPTextModel | CLIPTextModelWithProjection:
    """An OpenCLIP encoder; `is_cut`: SD2, which reads the last block's input and has no pooled output."""
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kept = {name: tensor for name, tensor in own.items() if not name.endswith(_NOT_PARAMETERS)}
    if is_cut:
        kept = _without_last_block(kept)
    config = CLIPTextConfig(**sizes.open_clip_config(_shapes(kept)))
    # The converter reads nothing but the configuration: a shell spares building the module twice.
    shell = SimpleNamespace(config=config)
    named = {_OPEN_CLIP_PREFIX + name: tensor for name, tensor in kept.items()}
    converted = convert_open_clip_checkpoint(shell, named, prefix=_OPEN_CLIP_PREFIX)
    model_class = CLIPTextModel if is_cut else CLIPTextModelWithProjection
    return _filled("text encoder", lambda: model_class(config), converted, placement)


def _without_last_block(own: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out the block that SD2 never runs.

    A whole OpenCLIP (known by its projection, or by its 24 blocks) still has it; files converted from
    diffusers come without block and projection.
    """
    layers = sizes.open_clip_layers(_shapes(own))
    kept = {name: tensor for name, tensor in own.items() if name != "text_projection"}
    if len(kept) == len(own) and layers != _SD2_LAYERS:
        return kept
    unused = f"transformer.resblocks.{layers - 1}."
    return {name: tensor for name, tensor in kept.items() if not name.startswith(unused)}


def _shapes(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _filled(what: str, make: Callable[[], Any], tensors: Tensors, placement: Placement) -> Any:
    """Make a module without memory of its own and give it the tensors, complete and of the right shape."""
    with torch.device("meta"):
        module = make()
    expected = module.state_dict()
    faults = [f"{name} is missing" for name in expected if name not in tensors]
    faults += [f"{name} is not part of a {what}" for name in tensors if name not in expected]
    faults += [
        f"{name} is {tuple(tensors[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    if faults:
        more = f", and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise InputError(
            f"The checkpoint's {what} does not fit together: {'; '.join(faults[:3])}{more}.",
            "Use a complete SD1, SD2 or SDXL checkpoint in the original layout.",
        )
    placed = {name: placement.place(tensors.pop(name)) for name in expected}
    module.load_state_dict(placed, assign=True)
    _fill_buffers(module, placement.device)
    return module.eval().requires_grad_(False)


def _fill_buffers(module: nn.Module, device: torch.device) -> None:
    """Give the buffers that no file holds their values: only CLIP's position numbers are of this kind."""
    for part in module.modules():
        for name, buffer in part.named_buffers(recurse=False):
            if not buffer.is_meta:
                continue
            if name != "position_ids":
                raise RuntimeError(f"buffer {name} of {type(part).__name__} has no known value")
            numbers = torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
            part.register_buffer(name, numbers, persistent=False)
