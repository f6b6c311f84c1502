"""The flat edit: areas of one colour instead of shading and texture."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from lib_copier.image.effect import Effect, Parameter, mixed, relative_scale

WORKING_SIDE = 256
"""Areas are found on a copy whose shorter side is at most this long; their borders come from the picture."""


def flatten_colours(picture: np.ndarray, strength: float, params: Mapping[str, float]) -> np.ndarray:
    """Give every area its mean colour; near the areas' borders the picture itself stays, smoothed."""
    height, width = picture.shape[:2]
    shrink = min(1.0, WORKING_SIDE / min(height, width))
    small = picture
    if shrink < 1.0:
        small = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    labels, is_clear = _areas(small, params["amount"] * max(strength, 1.0))
    colours = _mean_of_each(small, labels)[labels]
    cover = np.maximum(is_clear, np.clip(_distance_to_border(labels) - 1.0, 0.0, 1.0))
    if shrink < 1.0:
        colours = cv2.resize(colours, (width, height), interpolation=cv2.INTER_LINEAR)
        cover = cv2.resize(cover, (width, height), interpolation=cv2.INTER_LINEAR)
    cover = cover[..., None]
    scale = relative_scale(picture)
    smooth = cv2.bilateralFilter(
        picture, int(np.clip(round(9 * scale), 3, 11)) | 1, 0.12, 3.0 * max(scale, 0.5)
    )
    return mixed(picture, smooth + cover * (colours - smooth), strength)


def _areas(small: np.ndarray, amount: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels 0..n-1, (H, W) int, of areas that a painter would fill with one colour.

    With them, (H, W) float32: 1 where a pixel is clearly inside its area, 0 where it may lie on a border.

    First the areas that no edge crosses, however far their shading reaches: smooth ramps belong together.
    Where such an area holds too many colours, an edge had a gap: there Felzenszwalb and Huttenlocher's
    graph-based areas (2004) are taken, which see the colours and not only the edges.
    """
    from skimage.segmentation import felzenszwalb

    height, width = small.shape[:2]
    scale = relative_scale(small)
    smooth = cv2.GaussianBlur(small, (0, 0), 0.7)
    slope = np.maximum.reduce(
        [np.abs(cv2.Scharr(smooth, cv2.CV_32F, *d)).max(axis=2) / 32.0 for d in ((1, 0), (0, 1))]
    )
    # A slope is a difference per pixel: the same shading is steeper where pixels are fewer.
    open_land = (slope < 0.006 * min(amount, 1.5) / scale).astype(np.uint8)
    count, lands = cv2.connectedComponents(open_land, connectivity=4)
    _take_in_rims(lands, small, scale)
    graph = felzenszwalb(
        small, scale=60.0 * amount, sigma=0.5, min_size=max(4, height * width // 1200), channel_axis=2
    )
    means = _mean_of_each(small, lands)
    squares = _mean_of_each(small * small, lands)
    spread = np.sqrt(np.maximum(squares - means * means, 0.0)).max(axis=1)
    too_many = spread > 0.2 * amount
    too_many[0] = True
    joined = np.where(too_many[lands], count + graph.astype(np.int64), lands)
    labels = np.unique(joined, return_inverse=True)[1].reshape(height, width)
    return labels, (~too_many[lands]).astype(np.float32)


def _take_in_rims(lands: np.ndarray, small: np.ndarray, scale: float) -> None:
    """Give pixels beside an area that have its colour there to that area, in place.

    A slope is measured over three pixels and a blur: it also rises beside an edge, not only on it.
    """
    if not lands.any():
        return
    unlabelled = (lands == 0).astype(np.uint8)
    distance, nearest = cv2.distanceTransformWithLabels(
        unlabelled, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    seeds = np.zeros(int(nearest.max()) + 1, np.int64)
    seeds[nearest[unlabelled == 0]] = np.flatnonzero(unlabelled == 0)
    seed_of = seeds[nearest]
    difference = np.abs(small - small.reshape(-1, 3)[seed_of]).max(axis=2)
    joins = (unlabelled == 1) & (distance < 3.0 + 4.0 * scale) & (difference < 0.06)
    lands[joins] = lands.ravel()[seed_of][joins]


def _mean_of_each(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean colour of every label, (number of labels, 3) float32."""
    flat = labels.ravel()
    counts = np.maximum(np.bincount(flat), 1)
    sums = [np.bincount(flat, values[..., c].ravel()) for c in range(3)]
    return (np.stack(sums, axis=1) / counts[:, None]).astype(np.float32)


def _distance_to_border(labels: np.ndarray) -> np.ndarray:
    """Distance in pixels of every pixel to the nearest pixel of another label, (H, W) float32."""
    inner = np.ones(labels.shape, np.uint8)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    inner[:, 1:][across] = 0
    inner[:, :-1][across] = 0
    inner[1:][down] = 0
    inner[:-1][down] = 0
    if inner.all():
        return np.full(labels.shape, 1e6, np.float32)
    return cv2.distanceTransform(inner, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) + 1.0


FLAT = Effect(
    "flat",
    "Flat colours",
    "Areas of one colour instead of shading and texture; borders stay sharp.",
    flatten_colours,
    (Parameter("amount", 1.0, 0.2, 3.0, "How different colours may be and still become one."),),
)
