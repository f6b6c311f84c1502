"""Edits of tones: contrast, posterise, saturation, brightness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lib_copier.image.effect import Effect, Parameter, luminance, mixed


def raise_contrast(picture: np.ndarray, strength: float, params: Mapping[str, float]) -> np.ndarray:
    """Spread the tones around the picture's mean luminance, which stays as it is."""
    middle = float(luminance(picture).mean())
    gain = max(0.0, 1.0 + params["amount"] * strength)
    return np.clip(middle + gain * (picture - middle), 0.0, 1.0)


def posterize(picture: np.ndarray, strength: float, params: Mapping[str, float]) -> np.ndarray:
    """Leave a few evenly spaced tones in each channel; beyond strength 1 fewer still."""
    steps = max(1, round((params["tones"] - 1) / max(strength, 1.0)))
    return mixed(picture, np.floor(picture * steps + 0.5) / steps, strength)


def raise_saturation(picture: np.ndarray, strength: float, params: Mapping[str, float]) -> np.ndarray:
    """Move colours away from (or, with a negative amount, toward) the grey of their luminance."""
    grey = luminance(picture)[..., None]
    return np.clip(grey + max(0.0, 1.0 + params["amount"] * strength) * (picture - grey), 0.0, 1.0)


def raise_brightness(picture: np.ndarray, strength: float, params: Mapping[str, float]) -> np.ndarray:
    """Lift (or, with a negative amount, lower) the middle tones by a power curve; black and white stay."""
    change = params["amount"] * strength
    exponent = 1.0 / (1.0 + change) if change >= 0.0 else 1.0 - change
    return np.clip(picture, 0.0, 1.0) ** exponent


CONTRAST = Effect(
    "contrast",
    "High contrast",
    "Darker darks and lighter lights at the same mean brightness.",
    raise_contrast,
    (Parameter("amount", 0.6, -1.0, 2.0, "Gain of the tones' spread; negative lowers contrast."),),
)

POSTERIZE = Effect(
    "posterize",
    "Posterise",
    "Few tones in each colour channel.",
    posterize,
    (Parameter("tones", 4, 2, 16, "How many tones a colour channel keeps."),),
)

SATURATION = Effect(
    "saturation",
    "Saturation",
    "Stronger colours at the same luminance.",
    raise_saturation,
    (Parameter("amount", 0.6, -1.0, 2.0, "Gain of the colourfulness; negative makes it greyer."),),
)

BRIGHTNESS = Effect(
    "brightness",
    "Brightness",
    "Lighter middle tones; black and white stay.",
    raise_brightness,
    (Parameter("amount", 0.35, -2.0, 2.0, "How much lighter; negative is darker."),),
)
