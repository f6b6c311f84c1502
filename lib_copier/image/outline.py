"""The outline edit: darker and wider lines."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from lib_copier.image.effect import Effect, Parameter, luminance, mixed, relative_scale


def draw_outline(picture: np.ndarray, strength: float, params: Mapping[str, float]) -> np.ndarray:
    """Draw dark lines along the edges; lines that are there get wider and darker.

    The line is cut out of the distance to the nearest edge, which allows widths of fractions of a pixel;
    faint edges get narrow lines. Up to strength 1 the ink gets denser, beyond it the lines get wider.
    """
    height, width = picture.shape[:2]
    # Small pictures are drawn on enlarged, or lines of a pixel or two would have steps.
    enlarge = 1 if relative_scale(picture) > 0.7 else 2
    large = picture
    if enlarge > 1:
        large = cv2.resize(picture, (width * enlarge, height * enlarge), interpolation=cv2.INTER_CUBIC)
        large = np.clip(large, 0.0, 1.0)
    cover = _line_cover(large, params["width"] * max(strength, 1.0), params["sensitivity"])
    if enlarge > 1:
        cover = cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA)
    darkest_near = cv2.erode(picture, np.ones((3, 3), np.uint8))
    ink = darkest_near * (1.0 - params["darkness"])
    return mixed(picture, picture + cover[..., None] * (ink - picture), strength)


def _line_cover(picture: np.ndarray, line_width: float, sensitivity: float) -> np.ndarray:
    """How much of every pixel the lines cover, (H, W) in 0..1; widths are of a 512 px picture."""
    scale = relative_scale(picture)
    distance, weight = _nearest_edge(picture, sensitivity, scale)
    # Half a pixel of soft border: a line's border falls between pixels.
    cover = np.clip(0.5 * line_width * scale * weight + 0.5 - distance, 0.0, 1.0)
    cover *= np.clip(2.0 * weight, 0.0, 1.0)
    return np.maximum(cover, _between_edges(picture, cover, scale))


def _nearest_edge(picture: np.ndarray, sensitivity: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance in pixels to the nearest edge and how strong that edge is (0..1), both (H, W) float32."""
    eight_bits = (picture * 255.0 + 0.5).astype(np.uint8)
    # Smoothing that stops at edges, so that texture draws no lines.
    smooth = cv2.bilateralFilter(
        eight_bits, int(np.clip(round(7 * scale), 3, 9)) | 1, 40.0, 2.0 * max(scale, 0.5)
    )
    if scale > 0.5:
        smooth = cv2.GaussianBlur(smooth, (0, 0), scale)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)
    across, down = cv2.Sobel(lab, cv2.CV_16S, 1, 0), cv2.Sobel(lab, cv2.CV_16S, 0, 1)
    # At every pixel the channel that changes most: edges between colours of one lightness count too.
    most = (np.abs(across) + np.abs(down)).argmax(axis=2)[..., None]
    across = np.ascontiguousarray(np.take_along_axis(across, most, 2)[..., 0])
    down = np.ascontiguousarray(np.take_along_axis(down, most, 2)[..., 0])
    faintest = 200.0 * (1.0 - sensitivity) + 20.0
    edges = cv2.Canny(across, down, 0.4 * faintest, faintest, L2gradient=True)
    if not edges.any():
        far = np.full(picture.shape[:2], 1e6, np.float32)
        return far, np.zeros_like(far)
    distance, labels = cv2.distanceTransformWithLabels(
        255 - edges, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    gradient = np.hypot(across.astype(np.float32), down.astype(np.float32))
    of_edge = np.zeros(int(labels.max()) + 1, np.float32)
    of_edge[labels[edges > 0]] = cv2.dilate(gradient, np.ones((3, 3), np.uint8))[edges > 0]
    return distance, np.clip(of_edge[labels] / (3.0 * faintest), 0.0, 1.0)


def _between_edges(picture: np.ndarray, cover: np.ndarray, scale: float) -> np.ndarray:
    """How much of a line that the picture already has lies between the two edges of that line, 0..1."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(6 * scale)) + 1,) * 2)
    darker_than_near = cv2.morphologyEx(luminance(picture), cv2.MORPH_BLACKHAT, kernel)
    return np.minimum(
        np.clip(4.0 * darker_than_near, 0.0, 1.0), cv2.morphologyEx(cover, cv2.MORPH_CLOSE, kernel)
    )


OUTLINE = Effect(
    "outline",
    "Outline",
    "Darker and wider lines along the edges.",
    draw_outline,
    (
        Parameter("width", 5.0, 1.0, 24.0, "Width of the lines in pixels of a 512 px picture."),
        Parameter("darkness", 0.85, 0.1, 1.0, "How dark the ink is; 1 is black."),
        Parameter("sensitivity", 0.6, 0.0, 1.0, "How faint an edge may be and still get a line."),
    ),
)
