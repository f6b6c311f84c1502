"""The size of an edit's effect on a picture: by an attribute, its own change, or a direction of style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from PIL import Image

from lib_copier.image.effect import Chain
from lib_copier.image.effects import apply_chain
from lib_copier.measure import attributes
from lib_copier.measure.attributes import ATTRIBUTES, levels
from lib_copier.measure.rule import Rule


@dataclass(frozen=True)
class Edit:
    """What the LoRA was made for: a chain of edits, or the user's own pair(s) with an empty chain."""

    chain: Chain
    pairs: tuple[tuple[Image.Image, Image.Image], ...]
    """(origin, edited) of every pair that went into the LoRA; the edited ones are the teachers."""
    rule: Rule | None = None
    """The rule of the user's own pairs, where one was found."""

    @property
    def can_be_applied(self) -> bool:
        """Whether any picture can be edited so: by the chain, or by the rule."""
        return bool(self.chain) or self.rule is not None

    def applied(self, picture: Image.Image) -> Image.Image:
        """The edited copy of any picture; the picture itself where `can_be_applied` is False."""
        return apply_chain(picture, self.chain) if self.rule is None else self.rule.apply(picture)


@dataclass(frozen=True)
class Gauge:
    """Measures how much of an edit one picture has more than another, (before, after) → in `unit`."""

    name: str
    label: str
    unit: str
    effect: Callable[[Image.Image, Image.Image], float]


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


def gauge_for(edit: Edit, plain: Sequence[Image.Image]) -> Gauge:
    """The gauge for an edit.

    A chain with a single acting link is measured by that link's attribute, turned so that the edit raises
    it on the `plain` pictures. Any other chain is measured along the direction in which it moves the style
    of the `plain` pictures. The user's own edit is measured along its own change of the very picture where a
    rule of it is known, else along the direction from origin to edited picture of its pairs. On a direction
    the full edit measures 1.
    """
    if edit.rule is not None:
        # Of the mean change: where next to nothing is to be changed, a share of that would say anything.
        full = float(np.mean([np.square(_own_change(edit, one)).mean() for one in plain]))
        return Gauge(
            "own_change", "Share of the edit's own change", "edits", partial(_along_own_change, edit, full)
        )
    acting = tuple(use for use in edit.chain if use.strength > 0.0)
    if len(acting) == 1:
        attribute = ATTRIBUTES[acting[0].name]
        turned = _mean_change(lambda p: np.array([attribute.measure(levels(p))]), _edited(plain, acting))
        sign = -1.0 if float(turned[0]) < 0.0 else 1.0
        measure = _once_each(lambda picture: sign * attribute.measure(levels(picture)))
        return Gauge(attribute.name, attribute.label, attribute.unit, lambda a, b: measure(b) - measure(a))
    moved = _mean_change(style, _edited(plain, acting) if acting else edit.pairs)
    length = max(float(moved @ moved), 1e-12)
    measure = _once_each(lambda picture: float(style(picture) @ moved) / length)
    return Gauge(
        "style_direction", "Along the edit's direction", "edits", lambda a, b: measure(b) - measure(a)
    )


def _own_change(edit: Edit, picture: Image.Image) -> np.ndarray:
    return levels(edit.applied(picture)) - levels(picture)


def _along_own_change(edit: Edit, full: float, before: Image.Image, after: Image.Image) -> float:
    """Mean of (after − before) · (edited − before), in parts of `full`, that of the whole edit."""
    along = (levels(after) - levels(before)) * _own_change(edit, before)
    return float(along.mean()) / full if full else 0.0


def _once_each(measure: Callable[[Image.Image], float]) -> Callable[[Image.Image], float]:
    """The same measure, taken of each picture once: every row of a sweep is compared with its first."""
    known: dict[int, tuple[Image.Image, float]] = {}

    def measured(picture: Image.Image) -> float:
        # The picture is kept with its value, so that no other one can get its number.
        if id(picture) not in known:
            known[id(picture)] = (picture, measure(picture))
        return known[id(picture)][1]

    return measured


def _edited(plain: Sequence[Image.Image], chain: Chain) -> list[tuple[Image.Image, Image.Image]]:
    return [(picture, apply_chain(picture, chain)) for picture in plain]


def _mean_change(
    measure: Callable[[Image.Image], np.ndarray], pairs: Sequence[tuple[Image.Image, Image.Image]]
) -> np.ndarray:
    return np.mean([measure(after) - measure(before) for before, after in pairs], axis=0)
