"""What an SD2 checkpoint's U-Net predicts, found by asking it."""

from __future__ import annotations

from typing import Any

import torch

_V_THRESHOLD = -1.0


@torch.inference_mode()
def asked_prediction(unet: Any) -> str:
    """Find out by running the U-Net once, which SD2's two variants need: their tensors look alike.

    At the noisiest step a constant picture is almost pure noise: an epsilon model gives it back, while a
    velocity model answers with the negative of the picture it believes in, far below its input.
    """
    weight = unet.conv_in.weight
    picture = torch.full((1, unet.config.in_channels, 8, 8), 0.5, device=weight.device, dtype=weight.dtype)
    text = torch.zeros(1, 2, unet.config.cross_attention_dim, device=weight.device, dtype=weight.dtype)
    answer = unet(picture, 999, encoder_hidden_states=text, return_dict=False)[0]
    return "v_prediction" if (answer - picture).float().mean().item() < _V_THRESHOLD else "epsilon"
