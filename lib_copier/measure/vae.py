"""What the VAE does to pictures: its round trip, and how much of an edit survives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lib_copier.settings.goals import SurvivalGoal

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

FAINT = SurvivalGoal.share
WEAKENED = 0.6


def round_trip(vae: AutoencoderKL, picture: Image.Image) -> Image.Image:
    """Encode and decode an RGB picture whose sides divide by 8."""
    import torch

    from lib_copier.models.latents import decode_latents, encode_picture, to_images

    pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None].float()
    return to_images(decode_latents(vae, encode_picture(vae, pixels / 127.5 - 1.0)))[0]


def survival(
    origin: Image.Image, edited: Image.Image, origin_after: Image.Image, edited_after: Image.Image
) -> dict[str, Any]:
    """How much of the edit is left after the VAE.

    ``share`` is the projection of (VAE(edited) − VAE(origin)) on (edited − origin): 1 = all of it, 0 = none.
    ``edit_levels`` is the edit's size (root mean square, levels of 255), ``verdict`` ``good``, ``weakened``,
    ``faint`` or ``none``, ``sentence`` says it.
    """
    before, after = _difference(origin, edited), _difference(origin_after, edited_after)
    power = float((before * before).sum())
    size = round(float(np.sqrt((before * before).mean())), 3)
    if power == 0.0:
        sentence = "The edited picture equals the origin: there is nothing to learn."
        return {"share": 0.0, "edit_levels": 0.0, "verdict": "none", "sentence": sentence}
    share = round(float((before * after).sum()) / power, 4)
    verdict, sentence = _verdict(share)
    return {"share": share, "edit_levels": size, "verdict": verdict, "sentence": sentence}


def _difference(first: Image.Image, second: Image.Image) -> np.ndarray:
    return np.asarray(second.convert("RGB"), np.float64) - np.asarray(first.convert("RGB"), np.float64)


def _verdict(share: float) -> tuple[str, str]:
    kept = f"The VAE keeps {max(share, 0.0):.0%} of this edit"
    if share < FAINT:
        return "faint", (
            f"{kept}: it is too faint for the VAE, and a LoRA can hardly learn it. "
            "Make the edit stronger or coarser, or work at a larger picture size."
        )
    if share < WEAKENED:
        return "weakened", f"{kept}: the LoRA will be weaker than the edit. A stronger edit makes up for it."
    return "good", f"{kept}."
