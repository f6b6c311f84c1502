"""Weight 1 is the edit: the gain that a LoRA needs, found by looking at pictures at weight after weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from lib_copier.image.files import write_png
from lib_copier.measure.analysis import analyse
from lib_copier.measure.direction import Edit
from lib_copier.measure.generation import PictureMaker, Progress, counted, stop_when_asked, with_lora
from lib_copier.measure.sheet import weights_sheet
from lib_copier.txt2img.pictures import PictureRequest

LOWEST, HIGHEST = 0.25, 4.0
"""Gains beyond these say that the training was another than it should have been."""
MOST_LOOKS = 4
CLOSE = 0.04
"""A strength this near to 1 needs no further look."""
_STEP = 2.0
"""A gain goes at most so many times beyond the highest weight looked at: effects do not stay lines."""
_WORTH = 1 / 3
"""Of the strength that a weight has brought so far, per weight: where more of it brings less than this, it is
side effects that grow."""
_LEAST = 0.05
"""Share of the edit below which weight 1 does nothing that a gain could raise."""
_SAME = 0.02
"""Share of a weight within which another one is not worth a look."""
_FAINT = 0.005
"""A leak below this is none that can be measured."""
_WITHIN = 0.97
"""How near to the weight at which the leak passes its bound one goes."""


@dataclass(frozen=True)
class Look:
    """What pictures at one weight show: share of the edit, and leak."""

    strength: float
    leak: float


@dataclass(frozen=True)
class Search:
    """The looks so far by weight; ``next_weight`` says where to look again, ``result`` what was found.

    The curve is followed as straight pieces between looks, from 0 at weight 0 on.
    """

    most_leak: float
    looks: Mapping[float, Look]

    def with_look(self, weight: float, look: Look) -> Search:
        """The search after one more look."""
        return Search(self.most_leak, {**self.looks, weight: look})

    def next_weight(self) -> float | None:
        """The weight that should give the edit within the leak's bound; None where nothing is left to try."""
        if not self.looks:
            return 1.0
        if len(self.looks) == MOST_LOOKS or self._best_strength_is_close() or not self._follows():
            return None
        aims = [one for one in (self._full_weight(), self._leak_weight()) if one is not None]
        if not aims:
            return None
        aim = round(min(HIGHEST, max(LOWEST, min(aims))), 3)
        low, high = sorted([0.0, *self.looks])[-2:]
        if 0.0 < low < aim and not self._grows(low, high):
            return None
        return None if any(abs(aim - tried) <= _SAME * tried for tried in self.looks) else aim

    def result(self) -> tuple[float, str]:
        """The gain, and what kept it from the whole edit; empty where it is reached."""
        if not self._follows():
            return 1.0, "it hardly follows its weight, so its gain stays as it is"
        allowed = {weight: look for weight, look in self.looks.items() if abs(look.leak) <= self.most_leak}
        if not allowed:
            gain = min(self.looks, key=lambda weight: abs(self.looks[weight].leak))
            return gain, f"it leaks more than {self.most_leak:g} at every gain that was tried"
        gain = min(allowed)
        for weight in sorted(allowed)[1:]:
            is_nearer = abs(1.0 - allowed[weight].strength) < abs(1.0 - allowed[gain].strength)
            gain = weight if is_nearer and self._grows(gain, weight) else gain
        if abs(1.0 - allowed[gain].strength) <= 2 * CLOSE:
            return gain, ""
        beyond = [weight for weight in sorted(self.looks) if weight > gain]
        if beyond and allowed[gain].strength < 1.0 and not self._grows(gain, beyond[0]):
            return gain, "beyond it the effect no longer grows"
        if any(weight not in allowed for weight in beyond):
            return gain, f"beyond it more than {self.most_leak:g} leaks"
        if gain >= HIGHEST or gain <= LOWEST:
            return gain, f"gains end at {gain:g}"
        if self._full_weight() is None:
            return gain, "beyond it the effect no longer grows"
        return gain, f"{len(self.looks)} looks came no nearer"

    def _grows(self, low: float, high: float) -> bool:
        """Whether the effect grows enough from one weight looked at to the other."""
        before = self.looks[low].strength
        return (self.looks[high].strength - before) / (high - low) >= _WORTH * before / low

    def _follows(self) -> bool:
        return self.looks[1.0].strength >= _LEAST

    def _best_strength_is_close(self) -> bool:
        return any(
            abs(1.0 - look.strength) <= CLOSE and abs(look.leak) <= self.most_leak
            for look in self.looks.values()
        )

    def _points(self) -> list[tuple[float, Look]]:
        return [(0.0, Look(0.0, 0.0)), *sorted(self.looks.items())]

    def _full_weight(self) -> float | None:
        """Where the curve passes the whole edit, beyond the last look too; None where it stops growing."""
        points = self._points()
        for (low, before), (high, after) in pairwise(points):
            if before.strength <= 1.0 <= after.strength:
                return low + (high - low) * (1.0 - before.strength) / (after.strength - before.strength)
        (low, before), (high, after) = points[-2:]
        slope = (after.strength - before.strength) / (high - low)
        if slope <= 0.0:
            return None
        return min(_STEP * high, high + (1.0 - after.strength) / slope)

    def _leak_weight(self) -> float | None:
        """The highest weight before the leak passes its bound; None where it does nowhere."""
        for (low, before), (high, after) in pairwise(self._points()):
            if abs(after.leak) > self.most_leak >= abs(before.leak):
                # Leaks grow faster than weights: between two of them their logarithm is nearer to a line.
                first, last = max(abs(before.leak), _FAINT), abs(after.leak)
                share = math.log(max(self.most_leak, _FAINT) / first) / math.log(last / first)
                if len(self.looks) == MOST_LOOKS - 1:
                    # The last look has to hold: such a curve lies below its chord.
                    share = (self.most_leak - abs(before.leak)) / (last - abs(before.leak))
                # One that hardly passes the bound is not looked at again, but one clearly below it.
                return min(low + _WITHIN * share * (high - low), (1.0 - 1.5 * _SAME) * high)
        return None


def calibrate(
    maker: PictureMaker,
    *,
    lora: Path,
    requests: Sequence[PictureRequest],
    edit: Edit,
    sign: int,
    most_leak: float,
    output: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Look at the pictures of `requests` until the gain is found at which the LoRA gives the edit.

    `sign` is −1 where a positive weight is meant to take the edit away. Writes ``sheet.png`` into `output`.
    The result has ``gain``, ``bound`` (what kept it from the whole edit; empty where nothing did),
    ``strength`` and ``leak`` at the gain, and ``looks``
    ([{"weight", "strength", "leak"}, …], the first at 1).
    """
    pictures = {0.0: _printed(maker, requests, 0, progress)}
    search = Search(most_leak, {})
    while (weight := search.next_weight()) is not None:
        asked = [with_lora(request, lora, weight) for request in requests]
        pictures[weight] = _printed(maker, asked, len(pictures), progress)
        weights = sorted(pictures)
        grid = list(zip(*(pictures[one] for one in weights), strict=True))
        search = search.with_look(weight, _look(analyse(grid, weights, edit), weight, sign))
    gain, bound = search.result()
    write_png(weights_sheet(grid, weights, requests), output / "sheet.png")
    looks = [{"weight": weight, **vars(look)} for weight, look in search.looks.items()]
    return {"gain": gain, "bound": bound, **vars(search.looks[gain]), "looks": looks, "sheet": "sheet.png"}


def _printed(
    maker: PictureMaker, asked: Sequence[PictureRequest], done: int, progress: Progress
) -> list[Image.Image]:
    """The pictures at one weight; progress counts on as if every look were taken."""
    count = len(asked)
    tell = counted(progress, done * count, count, (1 + MOST_LOOKS) * count)
    return maker.generate(asked, on_progress=tell, on_step=stop_when_asked())


def _look(found: Mapping[str, Any], weight: float, sign: int) -> Look:
    """What an analysis tells of one weight."""
    at, direct = found["weights"].index(weight), sign * float(found["direct_effect"])
    strength = found["effect"][at] / direct if direct else 0.0
    return Look(round(strength, 4), round(found["leak_by_weight"][at], 4))
