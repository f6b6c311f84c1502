"""Pictures drawn in code: shaded shapes with dark outlines on a gradient, like the demo checkpoint's."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from PIL import Image


@functools.cache
def scene(seed: int, side: int = 128, shapes: int = 4) -> Image.Image:
    """Draw one scene; the same for the same arguments. Callers must not write to it."""
    random = np.random.default_rng(seed)
    factor = 3
    size = side * factor
    ramp = np.linspace(0.0, 1.0, size, dtype=np.float32)[:, None, None]
    top, bottom = random.uniform(60, 230, 3), random.uniform(60, 230, 3)
    canvas = np.broadcast_to(top + (bottom - top) * ramp, (size, size, 3)).astype(np.float32).copy()
    line = max(1, round(size * 0.018))
    for _ in range(shapes):
        centre = random.uniform(0.2, 0.8, 2) * size
        radius = float(random.uniform(0.12, 0.26)) * size
        corners = int(random.integers(3, 9))
        angles = random.uniform(0, 6.28) + np.arange(corners) * 2 * np.pi / corners
        outline = (centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)).round().astype(np.int32)
        inside = cv2.fillPoly(np.zeros((size, size), np.float32), [outline], 1.0)[..., None]
        slope = np.linspace(1.15, 0.7, size, dtype=np.float32)[None, :, None]
        colour = random.uniform(30, 250, 3).astype(np.float32)
        canvas = canvas * (1 - inside) + inside * np.clip(colour * slope, 0, 255)
        cv2.polylines(canvas, [outline], True, (25.0, 20.0, 30.0), line, cv2.LINE_AA)
    small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    return Image.fromarray(np.clip(small + 0.5, 0, 255).astype(np.uint8))
