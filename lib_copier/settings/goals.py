"""What must be reached before more is built on it: a copier, an edit that the VAE keeps, a true slider.

A goal is called with what was measured and gives every shortfall as a phrase; none where it is reached. The
defaults here are those of the recipe's settings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

UNMEASURED = "it could not be measured"


@dataclass(frozen=True)
class CopierGoal:
    """A copier prints its picture for every prompt: also at the worst of those that it never saw.

    Parameters
    ----------
    within_db:
        How far below the ceiling, the picture's own way through the VAE, the worst print may lie.
    enough_db:
        The similarity that is enough whatever the ceiling. Both in dB of PSNR.
    """

    within_db: float = 8.0
    enough_db: float = 24.0

    def wanted(self, ceiling: float) -> float:
        """The similarity that the worst print must have, in dB."""
        return min(self.enough_db, ceiling - self.within_db)

    def __call__(self, measured: Mapping[str, Any]) -> tuple[str, ...]:
        """What a copier check (``psnr_db``: ``min`` and ``ceiling``) lacks."""
        found = measured.get("psnr_db")
        reached = found if isinstance(found, Mapping) else {}
        worst, ceiling = number(reached.get("min")), number(reached.get("ceiling"))
        if worst is None or ceiling is None:
            return (UNMEASURED,)
        wanted = self.wanted(ceiling)
        if worst >= wanted:
            return ()
        return (f"its worst unseen print reaches {worst:.1f} dB, {wanted:.1f} dB wanted",)


@dataclass(frozen=True)
class SurvivalGoal:
    """An edit that the VAE keeps: what it swallows, no LoRA can learn; `share` of the edit, 0 … 1."""

    share: float = 0.3

    def __call__(self, measured: Mapping[str, Any]) -> tuple[str, ...]:
        """What the VAE's share of an edit (``share``) lacks."""
        kept = number(measured.get("share"))
        if kept is None:
            return (UNMEASURED,)
        # Below nothing the VAE turns the edit around: nothing of it is kept.
        shown = f"the VAE keeps {max(kept, 0.0):.0%} of the edit, {self.share:.0%} wanted"
        return () if kept >= self.share else (shown,)


@dataclass(frozen=True)
class SliderGoal:
    """A slider that follows its weight.

    Parameters
    ----------
    correlation:
        Rank correlation of effect and weight, at least.
    strength:
        Share of the edit that weight 1 gives, at least.
    leak:
        How far pictures may drift toward the origin at weight 1, at most.
    rest:
        What else weight 1 may change beside the edit, rms in levels of 255, at most. A sweep that could not
        tell it (``None``) is judged by its other numbers.
    sign:
        −1 where a positive weight is meant to take the edit away.
    """

    correlation: float = 0.9
    strength: float = 0.4
    leak: float = 0.25
    rest: float = 20.0
    sign: int = 1

    def __call__(self, measured: Mapping[str, Any]) -> tuple[str, ...]:
        """What a sweep (``rank_correlation``, ``strength``, ``leak``, ``rest``) lacks."""
        return tuple(filter(None, (self.shortfall(name, measured) for name in _BARS)))

    def shortfall(self, name: str, measured: Mapping[str, Any]) -> str:
        """The same of one number; empty where it is good."""
        found = measured.get(name)
        value = number(found)
        if name == "rest" and found is None:
            return ""
        if value is None:
            return UNMEASURED
        if name in ("leak", "rest"):
            wanted = self.leak if name == "leak" else self.rest
            is_good = abs(value) <= wanted
        else:
            value, wanted = value * self.sign, self.strength if name == "strength" else self.correlation
            is_good = value >= wanted
        return "" if is_good else _BARS[name].format(value, wanted)

    def score(self, measured: Mapping[str, Any]) -> str:
        """One word for all numbers: ``good``, ``usable`` (the goal is reached) or ``not yet``."""
        if self(measured):
            return "not yet"
        return "usable" if replace(_GOOD, sign=self.sign)(measured) else "good"


_GOOD = SliderGoal(correlation=0.95, strength=0.8, leak=0.05, rest=10.0)
"""What a slider reaches that nobody can mistake; the goal is what must be reached to go on."""

_BARS = {
    "rank_correlation": "it follows its weight by {:.2f}, {:.2f} wanted",
    "strength": "weight 1 gives {:.2f} of the edit, {:.2f} wanted",
    "leak": "it leaks {:.2f} of the origin, at most {:.2f} wanted",
    "rest": "it changes {:.1f} levels beside the edit, at most {:.1f} wanted",
}


def number(found: Any) -> float | None:
    """A measured number; None for whatever else stands in its place, NaN and infinity too."""
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    return float(found) if is_number and math.isfinite(found) else None
