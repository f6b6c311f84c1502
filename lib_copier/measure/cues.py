"""What a retouch may go by at each pixel: its colour, its surroundings, its place, and the whole picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from lib_copier.image.effect import luminance

COLOUR, SURROUNDINGS, PLACE, PICTURE = "colour", "surroundings", "place", "picture"
CUES = (COLOUR, SURROUNDINGS, PLACE, PICTURE)
"""All that there are."""

_BLURRED_UP_TO, _SPREAD_UP_TO = 1 / 16, 1 / 32
"""Of the shorter side: how far from a pixel a retouch may look, for means and for extremes."""
_FINE = 4.0
"""Pixels: a mean of this width can be told from no finer one."""
_MOVED = (1.0, 2.0, 4.0)
"""Distances of the neighbours that are looked at one by one, in pixels of a picture learned from."""
_ASIDE = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))


def cues_at(pixels: np.ndarray, cues: Sequence[str], side: int) -> np.ndarray:
    """The numbers that `cues` give of every pixel, (H, W, N) float32.

    `pixels` are (H, W, 3) float32 in 0 … 1. Distances are those of a picture whose shorter side is `side`
    pixels long, and scale with this one's, so N does not depend on its size.
    """
    return np.concatenate([cue_at(pixels, one, side) for one in cues], axis=2, dtype=np.float32)


def cue_at(pixels: np.ndarray, cue: str, side: int) -> np.ndarray:
    """The numbers of one cue, (H, W, N); see `cues_at`."""
    if cue == SURROUNDINGS:
        return np.concatenate(list(_surroundings(pixels, side)), axis=2)
    if cue == PLACE:
        return _place(*pixels.shape[:2])
    if cue == PICTURE:
        told = np.concatenate([pixels.mean(axis=(0, 1)), pixels.std(axis=(0, 1))])
        return np.broadcast_to(told, (*pixels.shape[:2], told.size))
    return pixels


def _surroundings(pixels: np.ndarray, side: int) -> Iterator[np.ndarray]:
    """Means, extremes and unrest around a pixel at doubling distances, and its neighbours, less itself."""
    grey, scale = luminance(pixels), min(pixels.shape[:2]) / side
    for distance in _doubling(side * _BLURRED_UP_TO):
        yield _blurred(pixels, distance * scale) - pixels
    darkest = brightest = pixels
    reached = 0
    for distance in _doubling(side * _SPREAD_UP_TO):
        radius = max(1, round(distance * scale))
        # A disc widened by a disc is a wider one: so large ones cost little.
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * (radius - reached) + 1,) * 2)
        darkest, brightest, reached = cv2.erode(darkest, disc), cv2.dilate(brightest, disc), radius
        yield darkest - pixels
        yield brightest - pixels
        spread = _blurred(grey * grey, radius) - _blurred(grey, radius) ** 2
        yield np.sqrt(np.maximum(spread, 0.0))[..., None]
    for distance in _MOVED:
        for x, y in _ASIDE:
            yield _moved(pixels, x * distance * scale, y * distance * scale) - pixels


def _doubling(end: float) -> Iterator[float]:
    distance = 1.0
    while distance <= max(end, 1.0):
        yield distance
        distance *= 2.0


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian mean; a wide one of the picture made smaller, which looks the same and takes no seconds."""
    height, width = values.shape[:2]
    smaller = min(int(sigma / _FINE), height, width)
    if smaller <= 1:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), max(sigma, 0.3)))
    size = (-(-width // smaller), -(-height // smaller))
    small = cv2.GaussianBlur(cv2.resize(values, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / smaller)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _moved(pixels: np.ndarray, x: float, y: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    matrix = np.array([[1.0, 0.0, x], [0.0, 1.0, y]], dtype=np.float32)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))


def _place(height: int, width: int) -> np.ndarray:
    """−1 … 1 from left to right and from top to bottom, and the square of the distance from the middle."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([x, y, x * x + y * y], axis=2).astype(np.float32)
