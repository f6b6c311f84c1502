"""How far a picture has drifted toward the picture that the LoRA was trained on.

A picture made with the LoRA is explained as a mixture, pixel by pixel on small copies:

    with = m + β · (without − m) + λ · (teacher − m) + α · (edited − without) + rest

*without* is the same prompt and seed at weight 0, *edited* is *without* with the true edit applied to it,
*teacher* is the training picture (the edited origin), *m* the mean of all pictures at weight 0.
α, β and λ are the least-squares fit, and **λ is the leak**: 0 = nothing of the teacher, 1 = became it.

Why three terms: what the edit itself moves goes to α and is no leak. And a picture that merely changes into
something else moves *away from itself*, which by plain projection looks like half a step toward every other
picture; β takes that up, so that only what is particular to the teacher remains in λ. A true mixture
(1 − λ) · edited + λ · teacher is recovered exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

SIDE = 64
"""Shorter side of the small copies: leak is layout and colour, not the last pixel of a line."""


def small(picture: Image.Image) -> np.ndarray:
    """A small copy as (h, w, 3) float32 levels."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    shrink = SIDE / min(pixels.shape[:2])
    if shrink >= 1.0:
        return pixels
    size = (round(pixels.shape[1] * shrink), round(pixels.shape[0] * shrink))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def mean_picture(plain: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of small copies; of fewer than four only their mean colour: one would be its own mean."""
    mean = np.mean(plain, axis=0)
    return mean if len(plain) >= 4 else np.broadcast_to(mean.mean(axis=(0, 1)), mean.shape)


def leak(
    with_lora: np.ndarray,
    without: np.ndarray,
    teacher: np.ndarray,
    mean: np.ndarray,
    edited: np.ndarray | None = None,
) -> float:
    """λ of the module's formula; all arguments are small copies of one shape.

    `edited` is None where the edit cannot be applied to other pictures (the user's own retouching): what it
    moves then counts as rest, or in a small part as leak.
    """
    terms = [teacher - mean, without - mean]
    if edited is not None:
        terms.append(edited - without)
    matrix = np.stack([term.ravel() for term in terms], axis=1).astype(np.float64)
    found, *_ = np.linalg.lstsq(matrix, (with_lora - mean).ravel().astype(np.float64), rcond=1e-6)
    return float(found[0])


def fitted_teacher(teacher: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The teacher's small copy in the shape of another's, where the pictures differ in proportions."""
    if teacher.shape == like.shape:
        return teacher
    return cv2.resize(teacher, (like.shape[1], like.shape[0]), interpolation=cv2.INTER_AREA)
