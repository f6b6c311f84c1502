"""What a checkpoint's U-Net predicts: told by the user, by markers, or found by asking it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from lib_copier.errors import InputError
from lib_copier.families import FamilyDetails
from lib_copier.models.noise import PREDICTIONS

_YAML_V = re.compile(r"""^\s*parameterization\s*:\s*["']?v["']?\s*(#.*)?$""", re.MULTILINE)
_V_THRESHOLD = -1.0


def told_prediction(details: FamilyDetails, path: Path, told: str = "auto") -> str | None:
    """The prediction type that the user, the file's markers or the yaml beside the file name, if any does.

    Raises
    ------
    InputError
        If `told` is neither ``auto`` nor a prediction type.
    """
    if told != "auto":
        if told not in PREDICTIONS:
            raise InputError(f"Unknown prediction type {told!r}.", f"Use auto, {' or '.join(PREDICTIONS)}.")
        return told
    if details.prediction_type is not None:
        return details.prediction_type
    yaml = path.with_suffix(".yaml")
    if yaml.is_file() and _YAML_V.search(yaml.read_text(encoding="utf-8", errors="replace")):
        return "v_prediction"
    return None


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
