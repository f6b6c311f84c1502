"""How alike two pictures are: PSNR and SSIM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

SAME_DB = 99.0
"""What stands for the infinite PSNR of two equal pictures: JSON knows no infinity."""


@dataclass(frozen=True)
class Similarity:
    """PSNR in dB (at most `SAME_DB`) and SSIM (1 = the same)."""

    psnr_db: float
    ssim: float


def similarity(reference: Image.Image, picture: Image.Image) -> Similarity:
    """Compare two RGB pictures of one size (at least 7 pixels a side)."""
    from skimage.metrics import structural_similarity

    first, second = (np.asarray(p.convert("RGB")) for p in (reference, picture))
    ssim = float(structural_similarity(first, second, channel_axis=2, data_range=255))
    return Similarity(psnr(first, second, 255.0), 1.0 if np.array_equal(first, second) else ssim)


def psnr(first: np.ndarray, second: np.ndarray, span: float) -> float:
    """Peak signal-to-noise ratio in dB (at most `SAME_DB`) of two pictures whose levels span `span`."""
    error = float(np.mean((first.astype(np.float64) - second) ** 2))
    return min(10.0 * float(np.log10(span**2 / error)), SAME_DB) if error else SAME_DB


def summary(found: Sequence[Similarity], ceiling: Similarity) -> dict[str, dict[str, float]]:
    """Median and minimum over pictures beside the best that can be reached, for both measures."""
    result = {}
    for name, digits in (("psnr_db", 2), ("ssim", 4)):
        values = [getattr(one, name) for one in found]
        result[name] = {
            "median": round(float(np.median(values)), digits),
            "min": round(float(np.min(values)), digits),
            "ceiling": round(getattr(ceiling, name), digits),
        }
    return result
