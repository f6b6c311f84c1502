"""Pairs to learn an edit from: the edited copies, and which pairs teach nothing or the opposite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.image.pair import changed_share, check_sizes
from lib_copier.measure.attributes import levels
from lib_copier.measure.direction import style
from lib_copier.measure.sheet import contact_sheet

FEWEST = 2
"""A single pair shows a picture as much as an edit: methods A and B are made for it."""
_BLANK = 2.0
"""Levels: a picture whose deviation is less shows nothing."""
_OPPOSITE = -0.5
"""Cosine of two changes of style below which one pair takes away what the other adds."""
_FELT = 0.5
"""Length of a change of style (`direction.style`: 1 is just about visible) that has a direction."""
_IN_A_ROW = 8


@dataclass(frozen=True)
class Pair:
    """One pair; `is_by_hand` tells that a person edited it, not the effects."""

    name: str
    origin: Image.Image
    edited: Image.Image
    is_by_hand: bool = False


def judge(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Which pairs to learn from: ``kept`` (names), ``left_out`` ([{"name", "reason"}, …]), ``notes`` on them.

    Raises
    ------
    InputError
        Fewer than `FEWEST` are left, or a picture and its edited copy differ in size.
    """
    reasons: dict[str, str] = {}
    for number, pair in enumerate(pairs):
        reason = _teaches_nothing(pair) or _is_there(
            pair, [p for p in pairs[:number] if p.name not in reasons]
        )
        if reason:
            reasons[pair.name] = reason
    reasons |= dict(_opposite([pair for pair in pairs if pair.name not in reasons and pair.is_by_hand]))
    kept = [pair.name for pair in pairs if pair.name not in reasons]
    told = [f"Pair {name} is left out: {reason}." for name, reason in reasons.items()]
    if len(kept) < FEWEST:
        lacks = f"Of {len(pairs)} pairs {len(kept)} can be learned from, {FEWEST} are needed."
        raise InputError(
            " ".join([lacks, *told[:4]]),
            "Add origins with edited pictures of their own, or take another method: project.method=copier.",
        )
    left_out = [{"name": name, "reason": reason} for name, reason in reasons.items()]
    return {"kept": kept, "left_out": left_out, "notes": told}


def pairs_sheet(pairs: Sequence[Pair]) -> Image.Image:
    """All pairs on one sheet, each edited picture under its origin."""
    rows = []
    for start in range(0, len(pairs), _IN_A_ROW):
        some = pairs[start : start + _IN_A_ROW]
        rows += [[pair.origin for pair in some], [pair.edited for pair in some]]
    return contact_sheet(rows, tile=128)


def _teaches_nothing(pair: Pair) -> str:
    check_sizes(pair.origin, pair.edited)
    if not pair.is_by_hand and float(levels(pair.origin).std()) < _BLANK:
        return "the checkpoint drew nothing"
    return "the edit changes nothing in it" if changed_share(pair.origin, pair.edited) == 0.0 else ""


def _is_there(pair: Pair, others: Sequence[Pair]) -> str:
    same = (one for one in others if one.origin.size == pair.origin.size)
    twin = next((one for one in same if one.origin.tobytes() == pair.origin.tobytes()), None)
    return f"it is the same picture as {twin.name}" if twin else ""


def _opposite(pairs: Sequence[Pair]) -> Iterator[tuple[str, str]]:
    """The pairs that do the opposite of most others; of what effects made none does, whatever its style."""
    changes = np.array([style(pair.edited) - style(pair.origin) for pair in pairs])
    sizes = np.linalg.norm(changes, axis=1) if len(pairs) else np.zeros(0)
    for place, pair in enumerate(pairs):
        cosines = {
            other: float(changes[place] @ changes[other] / (sizes[place] * sizes[other]))
            for other in range(len(pairs))
            if other != place and min(sizes[place], sizes[other]) > _FELT
        }
        against = [other for other, cosine in cosines.items() if cosine < _OPPOSITE]
        if 2 * len(against) > len(pairs) - 1:
            worst = min(against, key=cosines.__getitem__)
            yield pair.name, f"its edit does the opposite of that of {pairs[worst].name}"
