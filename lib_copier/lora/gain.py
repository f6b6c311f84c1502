"""What weight 1 of a LoRA means: the same LoRA at a gain, exact, its factors untouched."""

from __future__ import annotations

from dataclasses import replace

from lib_copier.lora.layer import Lora
from lib_copier.lora.precision import SAVE_PRECISIONS, dtype_name


def scale(lora: Lora, gain: float) -> Lora:
    """The LoRA whose weight 1 is weight `gain` of this one.

    Only alphas change; files hold them as float32 whatever their precision, so nothing else is rounded.
    """
    layers = {
        name: replace(layer, alpha=gain * (layer.rank if layer.alpha is None else layer.alpha))
        for name, layer in lora.layers.items()
    }
    return replace(lora, layers=layers)


def stored_precision(lora: Lora) -> str:
    """The precision that holds the LoRA's factors as they are stored: ``float``, ``fp16`` or ``bf16``."""
    stored = {dtype_name(array) for layer in lora.layers.values() for array in (layer.up, layer.down)}
    names = [name for name, kind in SAVE_PRECISIONS.items() if {kind} == stored]
    return names[0] if names else "float"
