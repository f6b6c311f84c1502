"""FILE:WEIGHT, as LoRAs are given on command lines, read on every system."""

from __future__ import annotations

import math


def split_weighted(text: str) -> tuple[str, float]:
    """The path and the weight (1 where none is given); a drive letter's colon is no weight.

    Raises
    ------
    ValueError
        Where no path is left.
    """
    path, colon, tail = text.rpartition(":")
    try:
        weight = float(tail) if colon else math.nan
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        path, weight = text, 1.0
    if not path.strip():
        raise ValueError(f"{text!r} names no file")
    return path.strip(), weight
