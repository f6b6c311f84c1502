"""Pictures to latents and back, through diffusers' `AutoencoderKL` in float32."""

from __future__ import annotations

from typing import Any

import torch


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
    """Pictures (B, 3, H, W) in [−1, 1] of scaled latents (B, 4, H/8, W/8)."""
    weight = vae.post_quant_conv.weight
    scaled = latents.to(weight.device, weight.dtype) / vae.config.scaling_factor
    return vae.decode(scaled, return_dict=False)[0].clamp(-1.0, 1.0)
