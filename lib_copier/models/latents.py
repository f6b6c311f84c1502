"""Pictures to latents and back, through diffusers' `AutoencoderKL` in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

_DECODE_PIXELS = 1 << 19


@torch.no_grad()
def encode_picture(vae: Any, picture: torch.Tensor) -> torch.Tensor:
    """Latents (B, 4, H/8, W/8) of pictures (B, 3, H, W) in [−1, 1]: the posterior's mean, scaled.

    The mean, not a sample: the same picture always gives the same latents.
    """
    weight = vae.quant_conv.weight
    posterior = vae.encode(picture.to(weight.device, weight.dtype), return_dict=False)[0]
    return posterior.mode() * vae.config.scaling_factor


@torch.no_grad()
def decode_latents(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Pictures (B, 3, H, W) in [−1, 1] of scaled latents (B, 4, H/8, W/8), as many at once as memory is meant
    for: two of 512 px.
    """
    weight = vae.post_quant_conv.weight
    scaled = latents.to(weight.device, weight.dtype) / vae.config.scaling_factor
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    count = max(1, _DECODE_PIXELS // (latents.shape[-1] * latents.shape[-2] * factor**2))
    decoded = [vae.decode(part, return_dict=False)[0] for part in scaled.split(count)]
    return torch.cat(decoded).clamp(-1.0, 1.0)


def to_images(pictures: torch.Tensor) -> list[Image.Image]:
    """8-bit RGB images of pictures (B, 3, H, W) in [−1, 1]."""
    levels = ((pictures.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return [Image.fromarray(np.ascontiguousarray(one)) for one in levels.permute(0, 2, 3, 1).cpu().numpy()]
