"""What a slider changes beside its edit: how alike a picture's change is to the edit's own, and the rest.

For a picture with the slider at weight w, the same prompt and seed at weight 0, and the edit applied to the
latter:

    c = with(w) − without,  e = edited − without
    fidelity = ⟨c, e⟩ / (‖c‖ · ‖e‖)      1: the edit, however much of it; 0: none of it; −1: its opposite
    rest     = rms(c − s · w · e)        0: w times the edit and nothing else

s is the slider's sign, −1 where a positive weight takes the edit away.

Both are taken in RGB (levels of 255) and, at weight 1, in CIE Lab, where the rest is a ΔE (CIE76): what a
colour that changes looks like. Two floors stand beside them: the edit as the VAE can show it, which no
slider passes, and a LoRA of random weights and the same norms, which knows nothing of the edit.

The user's own retouching can be applied to other pictures where a rule of it is known (`rule`). Else its
rest is what changes outside the pairs' mask, rms in levels; where that is the whole picture, there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from lib_copier.image.pair import VISIBLE, change
from lib_copier.image.similarity import similarity
from lib_copier.measure.attributes import levels
from lib_copier.measure.direction import Edit

Pictures = Sequence[Image.Image]
Space = Callable[[Image.Image], np.ndarray]

_LEAST_OUTSIDE = 0.05
"""Share of a picture that must lie outside the mask for the rest there to say something."""
_MASK_MARGIN = 1 / 32
"""Of the shorter side: a retouched border is soft, and the VAE spreads it."""


def fidelity(changed: np.ndarray, wanted: np.ndarray) -> float:
    """Cosine of two changes, −1 … 1; 0 for no change at all, NaN where nothing was wanted."""
    full = float(np.vdot(wanted, wanted))
    if full == 0.0:
        return float("nan")
    size = (full * float(np.vdot(changed, changed))) ** 0.5
    return float(np.vdot(changed, wanted)) / size if size else 0.0


def rest(changed: np.ndarray, wanted: np.ndarray) -> float:
    """Root mean square of what a change has beside the wanted one, in the arrays' unit."""
    return float(np.sqrt(np.square(changed - wanted).mean()))


def lab(picture: Image.Image) -> np.ndarray:
    """A picture in CIE Lab (D65), scaled by √3 so that the rms over values is the rms ΔE over pixels."""
    found = cv2.cvtColor(np.clip(levels(picture) / 255.0, 0.0, 1.0), cv2.COLOR_RGB2LAB)
    return np.asarray(found * np.float32(3**0.5))


def side_effects(
    pictures: Sequence[Pictures],
    weights: Sequence[float],
    edit: Edit,
    *,
    sign: int = 1,
    kept: Sequence[tuple[Image.Image, Image.Image]] = (),
    random: Pictures = (),
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The numbers of a sweep, and the same by picture. `weights` hold 0 and 1.

    ``fidelity`` and ``rest`` are medians over the pictures at weight 1, ``fidelity_worst`` and ``rest_worst``
    the worst picture's, ``…_by_weight`` the medians at every weight. ``structure`` is the median SSIM of
    picture and edited picture. ``worst_first`` numbers the pictures by falling rest at weight 1.
    ``floors`` are fidelity and rest of `kept` (plain and edited picture after the VAE, by picture) and of
    `random` (pictures with a random LoRA at weight 1, of the first rows). What cannot be told is None.
    """
    zero, one = list(weights).index(0.0), list(weights).index(1.0)
    plain = [row[zero] for row in pictures]
    if not edit.can_be_applied:
        return _outside(pictures, plain, edit, one)
    edited = [edit.applied(picture) for picture in plain]
    found = [
        [
            _compared(shown, before, before, after, sign * weight)
            for shown, weight in zip(row, weights, strict=True)
        ]
        for row, before, after in zip(pictures, plain, edited, strict=True)
    ]
    alike, beside = np.moveaxis(np.array(found), 2, 0)
    finished = [row[one] for row in pictures]
    in_lab = [
        _compared(*each, weight=sign, space=lab) for each in zip(finished, plain, plain, edited, strict=True)
    ]
    numbers = {
        "fidelity": _median(alike[:, one]),
        "fidelity_worst": _told(np.fmin.reduce(alike[:, one])),
        "fidelity_lab": _median([cosine for cosine, _ in in_lab]),
        "fidelity_by_weight": [_median(column) for column in alike.T],
        **_rests(beside, one),
        "rest_lab": _median([remains for _, remains in in_lab]),
        "structure": _median([similarity(a, b).ssim for a, b in zip(edited, finished, strict=True)]),
        "floors": {
            "vae": _floor([(after, before) for before, after in kept], plain, edited),
            "random": _floor(zip(random, plain, strict=False), plain, edited),
        },
    }
    return numbers, {"fidelity": _table(alike), "rest": _table(beside)}


def outside_mask(pairs: Sequence[tuple[Image.Image, Image.Image]], size: tuple[int, int]) -> np.ndarray:
    """Where no pair was retouched, (H, W) bool, for pictures of `size` (width, height)."""
    inside = np.zeros(size[::-1], np.uint8)
    for origin, edited in pairs:
        retouched = (change(origin, edited) > VISIBLE).astype(np.uint8)
        inside |= cv2.resize(retouched, size, interpolation=cv2.INTER_NEAREST)
    margin = round(_MASK_MARGIN * min(size))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    return np.asarray(cv2.dilate(inside, kernel)) == 0


def _outside(
    pictures: Sequence[Pictures], plain: Pictures, edit: Edit, one: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same for retouching of no known rule: a rest and no fidelity."""
    outside = outside_mask(edit.pairs, plain[0].size)
    if outside.mean() < _LEAST_OUTSIDE:
        return {"fidelity": None, "rest": None}, {}
    beside = np.array(
        [
            [rest(levels(picture)[outside], levels(before)[outside]) for picture in row]
            for row, before in zip(pictures, plain, strict=True)
        ]
    )
    return {"fidelity": None, **_rests(beside, one)}, {"rest": _table(beside)}


def _rests(beside: np.ndarray, one: int) -> dict[str, Any]:
    return {
        "rest": _median(beside[:, one]),
        "rest_worst": _told(beside[:, one].max()),
        "rest_by_weight": [_median(column) for column in beside.T],
        "worst_first": [int(row) for row in np.argsort(-beside[:, one], kind="stable")],
    }


def _floor(
    changes: Iterable[tuple[Image.Image, Image.Image]], plain: Pictures, edited: Pictures
) -> dict[str, float | None] | None:
    """Fidelity and rest of changes that are not the slider's, (after, before); None where there are none."""
    found = [
        _compared(after, before, *wanted)
        for (after, before), wanted in zip(changes, zip(plain, edited, strict=True), strict=False)
    ]
    if not found:
        return None
    return {"fidelity": _median([one for one, _ in found]), "rest": _median([one for _, one in found])}


def _compared(
    after: Image.Image,
    before: Image.Image,
    plain: Image.Image,
    edited: Image.Image,
    weight: float = 1.0,
    space: Space = levels,
) -> tuple[float, float]:
    """Fidelity and rest of one change beside `weight` times the edit's own."""
    changed, wanted = space(after) - space(before), space(edited) - space(plain)
    return fidelity(changed, wanted), rest(changed, np.float32(weight) * wanted)


def _table(values: np.ndarray) -> list[list[float | None]]:
    return [[_told(value) for value in row] for row in values]


def _median(values: Sequence[float] | np.ndarray) -> float | None:
    """Over the pictures on which there was something to change."""
    known = np.asarray(values)[~np.isnan(values)]
    return _told(float(np.median(known))) if known.size else None


def _told(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
