"""Checks of a pair: are origin and edited picture aligned, and where do they differ."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.image.effect import relative_scale

ALIGNED_WITHIN = 0.25
"""Shifts up to this many pixels are not worth a correction, which softens the picture a little."""
VISIBLE = 0.02
"""Smallest change of a channel, 0..1, that counts as changed (5 of 255 levels)."""
_COARSE = 16.0
"""Smoothing, in pixels of a 512 px picture, at which a softened edge looks as a sharp one does."""
_BETTER, _CLEARLY = 0.02, 0.3
"""Of the difference between edges: so much must go for a shift to be one, and to be one beyond doubt."""
_CLEARLY_COARSE = 0.4
"""The second of coarse edges."""
_SMALL = 1.0
"""Pixels: what was moved further loses 0.34 of that difference and more, whatever was done to it, and what
was drawn over or blurred where it lies 0.1 at most."""
_TOLD_APART = 0.2
"""Of that smoothing: shifts nearer to each other than so are the same to coarse edges."""


@dataclass(frozen=True)
class Shift:
    """How far the edited picture lies to the right of (`x`) and below (`y`) the origin, in pixels.

    `is_certain` says that moving it back brings the edges of the two closer together; where it is
    False the pictures may be too different to tell.
    """

    x: float
    y: float
    is_certain: bool = False

    @property
    def distance(self) -> float:
        """Length of the shift in pixels."""
        return float(np.hypot(self.x, self.y))

    @property
    def needs_correction(self) -> bool:
        """Whether the pair should be aligned before it is learned from."""
        return self.is_certain and self.distance > ALIGNED_WITHIN


_NONE = Shift(0.0, 0.0)


def check_sizes(origin: Image.Image, edited: Image.Image) -> None:
    """Raise InputError where the two pictures differ in size."""
    if origin.size == edited.size:
        return
    (width, height), (other_width, other_height) = origin.size, edited.size
    raise InputError(
        f"The origin is {width}x{height} pixels, the edited picture {other_width}x{other_height}.",
        "Edit the origin without cropping or scaling, or scale the edited picture back to the origin's size.",
    )


def measure_shift(origin: Image.Image, edited: Image.Image) -> Shift:
    """Measure the shift between two pictures of one size to about a twentieth of a pixel.

    Works on edges, so that changes of colour and tone do not matter. An edit that softens them leaves too few
    fine ones to go by: what they do not show clearly, and coarse edges not at all, is no shift, or the one
    that these show clearly. Raises InputError on sizes.
    """
    check_sizes(origin, edited)
    fine, gained = _shift_of_edges(origin, edited, 1.0, floor=8.0)
    fine = replace(fine, is_certain=gained >= _BETTER)
    if not fine.needs_correction or gained >= _CLEARLY:
        return fine
    smoothing = max(2.0, _COARSE * relative_scale(_pixels(origin)))
    coarse, gained = _shift_of_edges(origin, edited, smoothing, floor=0.0)
    reach = _TOLD_APART * smoothing
    is_clear = gained >= _CLEARLY_COARSE and coarse.distance > reach
    if float(np.hypot(fine.x - coarse.x, fine.y - coarse.y)) <= reach:
        return replace(fine, is_certain=is_clear or fine.distance <= _SMALL)
    return replace(coarse, is_certain=is_clear)


def _shift_of_edges(
    origin: Image.Image, edited: Image.Image, smoothing: float, *, floor: float
) -> tuple[Shift, float]:
    """The shift between edges, and the share of their difference that goes where one is moved back."""
    from skimage.registration import phase_cross_correlation

    first, second = (_edges(picture, smoothing, floor) for picture in (origin, edited))
    if not first.any() or not second.any():
        return _NONE, 0.0
    (down, right), _, _ = phase_cross_correlation(first, second, upsample_factor=50, normalization=None)
    # The function answers how to move the second onto the first.
    x, y = -float(right), -float(down)
    if max(abs(x), abs(y)) > 0.25 * min(origin.size):
        return _NONE, 0.0
    moved = _moved(second.astype(np.float32), -x, -y)
    before, after = float(np.square(first - second).mean()), float(np.square(first - moved).mean())
    return Shift(round(x, 3) + 0.0, round(y, 3) + 0.0), 1.0 - after / before if before else 1.0


def correct_shift(edited: Image.Image, shift: Shift) -> Image.Image:
    """Move the edited picture back onto the origin; the borders are filled with the nearest pixels."""
    pixels = np.asarray(edited.convert("RGB"), dtype=np.float32)
    return Image.fromarray(np.clip(_moved(pixels, -shift.x, -shift.y) + 0.5, 0, 255).astype(np.uint8))


def change(origin: Image.Image, edited: Image.Image) -> np.ndarray:
    """How much each pixel differs: the largest channel's difference, (H, W) float32 in 0..1."""
    check_sizes(origin, edited)
    return np.abs(_pixels(origin) - _pixels(edited)).max(axis=2)


def changed_share(origin: Image.Image, edited: Image.Image) -> float:
    """Share of the pixels that differ visibly, 0..1."""
    return float((change(origin, edited) > VISIBLE).mean())


def heat_map(origin: Image.Image, edited: Image.Image) -> Image.Image:
    """Where the two differ: the origin in dim grey, changes glowing from violet over orange to white."""
    amount = change(origin, edited)
    amount = _blurred(amount, max(0.4, 1.5 * relative_scale(amount)))
    # Faint edits are to be seen too, so the brightest change is full heat - but noise is not blown up.
    heat = np.clip(amount / max(float(np.quantile(amount, 0.995)), 4.0 * VISIBLE), 0.0, 1.0) ** 0.7
    glow = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = np.asarray(origin.convert("L"), dtype=np.float32)[..., None] * 0.35
    cover = np.clip(3.0 * heat, 0.0, 1.0)[..., None]
    return Image.fromarray((grey * (1.0 - cover) + glow * cover + 0.5).clip(0, 255).astype(np.uint8))


def soft_mask(
    origin: Image.Image,
    edited: Image.Image,
    *,
    threshold: float = VISIBLE,
    feather: float = 8.0,
    background: float = 0.1,
) -> Image.Image:
    """A loss mask of the changed parts: white = learn fully, mode L, size of the pictures.

    `threshold` is the change (0..1) from which a pixel counts, `feather` the width of the soft border in
    pixels of a 512 px picture, `background` the weight (0..1) of what did not change.
    """
    amount = change(origin, edited)
    reach = feather * relative_scale(amount)
    changed = (amount > threshold).astype(np.float32)
    if reach >= 0.5:
        # Grow by the feather before softening, so that changed pixels keep (nearly) their full weight.
        size = 2 * max(1, round(reach)) + 1
        grown = cv2.dilate(changed, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
        changed = _blurred(np.asarray(grown, np.float32), 0.5 * reach)
    weight = background + (1.0 - background) * np.clip(changed, 0.0, 1.0)
    return Image.fromarray((weight * 255.0 + 0.5).astype(np.uint8))


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), dtype=np.float32) / 255.0


def _edges(image: Image.Image, smoothing: float, floor: float) -> np.ndarray:
    """Gradient magnitude above `floor` of the smoothed grey picture, faded at the borders, (H, W) float64.

    The square root keeps a few strong edges, which an edit may have drawn, from outvoting all others.
    """
    grey = cv2.GaussianBlur(np.asarray(image.convert("L"), dtype=np.float32), (0, 0), smoothing)
    gradient = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    gradient = np.sqrt(np.maximum(gradient - floor, 0.0))
    height, width = grey.shape
    return (gradient * cv2.createHanningWindow((width, height), cv2.CV_32F)).astype(np.float64)


def _moved(pixels: np.ndarray, x: float, y: float) -> np.ndarray:
    """The picture moved right by `x` and down by `y` pixels."""
    height, width = pixels.shape[:2]
    matrix = np.array([[1.0, 0.0, x], [0.0, 1.0, y]], dtype=np.float64)
    return cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
