"""Edits of fine structure: JPEG noise, blur, sharpen, grain."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from lib_copier.image.effect import Effect, Parameter, mixed, relative_scale


def add_jpeg_noise(picture: np.ndarray, strength: float, params: Mapping[str, float]) -> np.ndarray:
    """Save as a poor JPEG and read again; beyond strength 1 poorer still. Blocks are 8 px at any size."""
    quality = max(1, round(params["quality"] / max(strength, 1.0)))
    eight_bits = (picture[..., ::-1] * 255.0 + 0.5).astype(np.uint8)
    _, data = cv2.imencode(".jpg", eight_bits, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)[..., ::-1]
    return mixed(picture, decoded / 255.0, strength)


def blur(picture: np.ndarray, strength: float, params: Mapping[str, float]) -> np.ndarray:
    """Gaussian blur whose radius grows with the strength."""
    return _blurred(picture, params["radius"] * strength * relative_scale(picture))


def sharpen(picture: np.ndarray, strength: float, params: Mapping[str, float]) -> np.ndarray:
    """Unsharp mask: add what a blur takes away."""
    lost = picture - _blurred(picture, params["radius"] * relative_scale(picture))
    return np.clip(picture + params["amount"] * strength * lost, 0.0, 1.0)


def add_grain(picture: np.ndarray, strength: float, params: Mapping[str, float]) -> np.ndarray:
    """Add film grain: the same for the same seed and size, equal in all channels."""
    height, width = picture.shape[:2]
    noise = np.random.default_rng(int(params["seed"])).standard_normal((height, width)).astype(np.float32)
    noise = _blurred(noise, 0.5 * params["size"] * relative_scale(picture))
    noise *= params["amount"] / max(float(noise.std()), 1e-6)
    return np.clip(picture + strength * noise[..., None], 0.0, 1.0)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    if sigma < 0.6:
        # A sampled Gaussian this narrow has the wrong width; three taps of the right variance have not.
        taps = np.array([0.5 * sigma * sigma, 1.0 - sigma * sigma, 0.5 * sigma * sigma], np.float32)
        return cv2.sepFilter2D(picture, -1, taps, taps, borderType=cv2.BORDER_REFLECT)
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


JPEG = Effect(
    "jpeg",
    "JPEG noise",
    "Blocks and ringing of a picture saved too small.",
    add_jpeg_noise,
    (Parameter("quality", 10, 1, 60, "JPEG quality of the poor copy; lower is noisier."),),
)

BLUR = Effect(
    "blur",
    "Blur",
    "Softer picture.",
    blur,
    (Parameter("radius", 4.0, 0.5, 24.0, "Sigma of the blur in pixels of a 512 px picture."),),
)

SHARPEN = Effect(
    "sharpen",
    "Sharpen",
    "Crisper borders and texture.",
    sharpen,
    (
        Parameter("amount", 1.0, 0.1, 4.0, "How much of the fine structure is added."),
        Parameter("radius", 4.0, 0.5, 24.0, "Size of that structure in pixels of a 512 px picture."),
    ),
)

GRAIN = Effect(
    "grain",
    "Grain",
    "Film grain over the whole picture.",
    add_grain,
    (
        Parameter("amount", 0.05, 0.01, 0.4, "Standard deviation; 1 is the range from black to white."),
        Parameter("size", 2.0, 0.5, 12.0, "Size of the grains in pixels of a 512 px picture."),
        Parameter("seed", 0, 0, 2**31 - 1, "Another seed draws other grains."),
    ),
)
