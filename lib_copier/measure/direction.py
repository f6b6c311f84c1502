"""The size of an edit's effect on a picture: by its own attribute, or along a measured direction of style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from lib_copier.image.effect import Chain
from lib_copier.image.effects import apply_chain
from lib_copier.measure import attributes
from lib_copier.measure.attributes import ATTRIBUTES, levels


@dataclass(frozen=True)
class Edit:
    """What the LoRA was made for: a chain of edits, or the user's own pair(s) with an empty chain."""

    chain: Chain
    pairs: tuple[tuple[Image.Image, Image.Image], ...]
    """(origin, edited) of every pair that went into the LoRA; the edited ones are the teachers."""


@dataclass(frozen=True)
class Gauge:
    """Measures an edit on a picture alone; `measure` rises where the picture gets more of the edit."""

    name: str
    label: str
    unit: str
    measure: Callable[[Image.Image], float]


def style(picture: Image.Image) -> np.ndarray:
    """A picture's style as a vector of statistics that do not depend on where things are, (13,).

    Each is divided by a difference that is just about visible, so that none outvotes the others by its unit.
    """
    pixels = levels(picture)
    lab = cv2.cvtColor(np.clip(pixels / 255.0, 0.0, 1.0), cv2.COLOR_RGB2LAB)
    means, deviations = lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))
    return np.array(
        [
            *(means / 2.0),
            *(deviations / 2.0),
            attributes.line_ink(pixels) / 1.0,
            attributes.flatness(pixels) / 0.1,
            attributes.fewness_of_tones(pixels) / 8.0,
            attributes.blockiness(pixels) / 0.5,
            attributes.sharpness(pixels) / 4.0,
            attributes.colourfulness(pixels) / 5.0,
            attributes.grain(pixels) / 1.0,
        ]
    )


def gauge_for(
    chain: Chain, plain: Sequence[Image.Image], pairs: Sequence[tuple[Image.Image, Image.Image]]
) -> Gauge:
    """The gauge for an edit.

    A chain with a single acting link is measured by that link's attribute, turned so that the edit raises
    it on the `plain` pictures. Any other chain is measured along the direction in which it moves the style
    of the `plain` pictures; the user's own edit (an empty chain) along the direction from origin to edited
    picture of `pairs`. On a direction the full edit measures 1.
    """
    acting = tuple(use for use in chain if use.strength > 0.0)
    if len(acting) == 1:
        attribute = ATTRIBUTES[acting[0].name]
        turned = _mean_change(lambda p: np.array([attribute.measure(levels(p))]), _edited(plain, acting))
        sign = -1.0 if float(turned[0]) < 0.0 else 1.0
        return Gauge(
            attribute.name, attribute.label, attribute.unit, lambda p: sign * attribute.measure(levels(p))
        )
    moved = _mean_change(style, _edited(plain, acting) if acting else pairs)
    length = max(float(moved @ moved), 1e-12)
    return Gauge(
        "style_direction", "Along the edit's direction", "edits", lambda p: float(style(p) @ moved) / length
    )


def _edited(plain: Sequence[Image.Image], chain: Chain) -> list[tuple[Image.Image, Image.Image]]:
    return [(picture, apply_chain(picture, chain)) for picture in plain]


def _mean_change(
    measure: Callable[[Image.Image], np.ndarray], pairs: Sequence[tuple[Image.Image, Image.Image]]
) -> np.ndarray:
    return np.mean([measure(after) - measure(before) for before, after in pairs], axis=0)
