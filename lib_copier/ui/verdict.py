"""What the measured numbers are worth: whether a copier is one, and what a slider's numbers say at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GOOD_DB, FAIR_DB = 24.0, 20.0
"""Median similarity from which a copier is complete, and from which its edits are of use."""
FEWEST_PICTURES = 3
"""On fewer, a rank correlation of 1 comes about by chance."""
WEAKEST = 0.1
"""Share of the edit below which a slider changes nothing to speak of; ranks of so little are noise."""

Report = Mapping[str, Any]


def number(found: Any) -> float | None:
    """A measured number; None for whatever else stands in its place."""
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    return float(found) if is_number else None


def median_db(report: Report) -> float | None:
    """The median similarity of a copier check, in dB."""
    found = report.get("psnr_db")
    return number(found.get("median")) if isinstance(found, Mapping) else None


def copier_verdict(decibels: float) -> str:
    """``good``, ``fair`` (the edit may still work) or ``poor`` (no copier)."""
    return "good" if decibels >= GOOD_DB else "fair" if decibels >= FAIR_DB else "poor"


def slider_doubts(report: Report) -> dict[str, str]:
    """Why a sweep's rank correlation says little: the keys of texts with their values."""
    found = {}
    strength, rows = number(report.get("strength")), report.get("pictures")
    if strength is not None and abs(strength) < WEAKEST:
        found["preview.too_weak"] = f"{strength:.2f}"
    if isinstance(rows, list) and len(rows) < FEWEST_PICTURES:
        found["preview.too_few"] = str(len(rows))
    return found


def shortfall(kind: str, report: Report) -> tuple[str, str] | None:
    """A done step that missed what it was for: a text's key and the number reached; None where it did not."""
    reached = median_db(report) if kind == "check" else number(report.get("strength"))
    if reached is None or kind not in {"check", "sweep"}:
        return None
    if kind == "check":
        return ("short.check", f"{reached:.1f}") if copier_verdict(reached) == "poor" else None
    return ("short.sweep", f"{reached:.2f}") if reached < WEAKEST else None
