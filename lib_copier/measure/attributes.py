"""One measured attribute for each edit, computed on a picture alone; each rises with the edit's strength.

Values are levels (0..255) unless said otherwise. "Smooth parts" are the pixels whose surroundings change
least: outlines and borders of shapes must not count where texture and shading are measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from lib_copier.image.effect import luminance, relative_scale

SMOOTH_SHARE = 0.6
"""Share of the pixels, the calmest ones, that make up the smooth parts."""


@dataclass(frozen=True)
class Attribute:
    """What is measured for an edit: `measure` takes (H, W, 3) float32 levels and gives one number."""

    name: str
    label: str
    unit: str
    help: str
    measure: Callable[[np.ndarray], float]


def levels(picture: Image.Image | np.ndarray) -> np.ndarray:
    """A picture as (H, W, 3) float32 levels 0..255."""
    if isinstance(picture, Image.Image):
        picture = np.asarray(picture.convert("RGB"))
    return np.ascontiguousarray(picture, dtype=np.float32)


def line_ink(pixels: np.ndarray) -> float:
    """Darkness times area of dark lines: how much darker the luminance is than its surroundings' median.

    The median over a window of 14 % of the shorter side looks past lines and is not fooled by light
    rims or noise beside them, as a morphological closing is; two levels are left to rounding.
    """
    grey = luminance(pixels)
    window = 2 * max(1, round(0.07 * min(grey.shape))) + 1
    around = cv2.medianBlur(np.clip(grey + 0.5, 0, 255).astype(np.uint8), window)
    return float(np.maximum(around - grey - 2.0, 0.0).mean())


def flatness(pixels: np.ndarray) -> float:
    """Minus the mean slope of the colours, in levels per pixel, within the smooth parts.

    A slight blur (6 px of a 512 px picture) keeps shading and broad texture and takes away the noise that a
    VAE leaves on areas of one colour.
    """
    calm = cv2.GaussianBlur(pixels, (0, 0), max(0.5, 6.0 * relative_scale(pixels)))
    across, down = cv2.Sobel(calm, cv2.CV_32F, 1, 0), cv2.Sobel(calm, cv2.CV_32F, 0, 1)
    slope = np.sqrt(across * across + down * down).mean(axis=2) / 8.0
    return -_calmest_mean(slope)


def contrast(pixels: np.ndarray) -> float:
    """Spread of the tones: the standard deviation of the luminance."""
    return float(luminance(pixels).std())


def fewness_of_tones(pixels: np.ndarray) -> float:
    """Minus the number of tones in a colour channel, counted by use: 2 to the entropy of its histogram.

    A median removes noise and the mixed tones on borders first; tones within about two levels are one.
    """
    calm = cv2.medianBlur(np.clip(pixels + 0.5, 0, 255).astype(np.uint8), 3)
    window = np.asarray(cv2.getGaussianKernel(13, 2.0), np.float64)[:, 0]
    counts = []
    for channel in range(3):
        histogram = np.bincount(calm[..., channel].ravel(), minlength=256).astype(np.float64)
        # Mirrored at black and white, so that tones there weigh as much as others.
        used = np.convolve(np.pad(histogram, 6, mode="symmetric"), window, mode="valid")
        used = used[used > 0] / used.sum()
        counts.append(float(np.exp2(-(used * np.log2(used)).sum())))
    return -float(np.mean(counts))


def blockiness(pixels: np.ndarray) -> float:
    """How much larger the steps on the borders of 8 × 8 blocks are than the steps beside them.

    Steps are second differences, so that even shading has none; those of more than 24 levels belong to
    the drawing and are cut off there. Unit: levels.
    """
    grey = luminance(pixels)
    return 0.5 * (_grid_excess(grey) + _grid_excess(np.ascontiguousarray(grey.T)))


def _grid_excess(grey: np.ndarray) -> float:
    # |a − b| at a border, less what the slopes on its two sides let expect.
    step = grey[:, 2:-1] - grey[:, 1:-2]
    expected = 0.5 * ((grey[:, 1:-2] - grey[:, :-3]) + (grey[:, 3:] - grey[:, 2:-1]))
    jump = np.minimum(np.abs(step - expected), 24.0).mean(axis=0)
    # Column k of `jump` lies between the pixels k + 1 and k + 2.
    on_border = (np.arange(jump.size) + 2) % 8 == 0
    if not on_border.any() or on_border.all():
        return 0.0
    return float(jump[on_border].mean() - jump[~on_border].mean())


def sharpness(pixels: np.ndarray) -> float:
    """Fine structure: the standard deviation of the luminance's Laplacian."""
    return float(cv2.Laplacian(luminance(pixels), cv2.CV_32F, ksize=1).std())


def softness(pixels: np.ndarray) -> float:
    """Minus the sharpness."""
    return -sharpness(pixels)


def colourfulness(pixels: np.ndarray) -> float:
    """Mean distance between a pixel's strongest and weakest channel."""
    return float((pixels.max(axis=2) - pixels.min(axis=2)).mean())


def brightness(pixels: np.ndarray) -> float:
    """Mean luminance."""
    return float(luminance(pixels).mean())


def grain(pixels: np.ndarray) -> float:
    """Deviation of noise in the smooth parts, by a filter blind to edges and slopes (Immerkær 1996)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(luminance(pixels), cv2.CV_32F, kernel))
    return float(np.sqrt(0.5 * np.pi) / 6.0) * _calmest_mean(cv2.blur(response, (5, 5)))


def _calmest_mean(values: np.ndarray) -> float:
    """Mean of the smallest `SMOOTH_SHARE` of the values."""
    flat = values.ravel()
    count = max(1, int(SMOOTH_SHARE * flat.size))
    return float(np.partition(flat, count - 1)[:count].mean())


ATTRIBUTES: dict[str, Attribute] = {
    "outline": Attribute("line_ink", "Line darkness × area", "levels", "darkness below the median", line_ink),
    "flat": Attribute("flatness", "Local flatness", "levels/px", "minus slope in smooth parts", flatness),
    "contrast": Attribute("contrast", "Spread of tones", "levels", "deviation of luminance", contrast),
    "posterize": Attribute(
        "fewness_of_tones", "Fewness of tones", "tones", "minus used tones a channel", fewness_of_tones
    ),
    "jpeg": Attribute("blockiness", "Blockiness", "levels", "excess of steps on the 8 px grid", blockiness),
    "blur": Attribute("softness", "Softness", "levels", "minus deviation of the Laplacian", softness),
    "sharpen": Attribute("sharpness", "Sharpness", "levels", "deviation of the Laplacian", sharpness),
    "saturation": Attribute("colourfulness", "Colourfulness", "levels", "mean channel range", colourfulness),
    "brightness": Attribute("brightness", "Brightness", "levels", "mean luminance", brightness),
    "grain": Attribute("grain", "Grain", "levels", "noise deviation in smooth parts", grain),
}
"""By the name of the edit."""
