"""The report's drawings: the effect over the weight, and bars, in the page's own colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib_copier.markup.html import Html, duration, signed, tag
from lib_copier.markup.svg import Axis, Line, Tick, chart

_SIZE = (420.0, 260.0)
_MOST = 4.0
"""Effects beyond so many times the edit itself are drawn at the chart's end."""


@dataclass(frozen=True)
class Curve:
    """One line of the chart: effect in units of the full edit over the weight."""

    label: str
    style: str
    """A class of the page's style sheet: ``a``, ``b``, ``control`` or ``each``."""
    weights: Sequence[float]
    values: Sequence[float]


def effect_chart(curves: Sequence[Curve], description: str) -> Html:
    """Effect over weight; 1 on the vertical axis is the edit applied to the picture itself."""
    weights = sorted({weight for curve in curves for weight in curve.weights})
    heights = [value for curve in curves for value in curve.values] + [-1.0, 0.0, 1.0]
    low, high = max(min(heights), -_MOST), min(max(heights), _MOST)
    low, high = low - 0.08 * (high - low), high + 0.08 * (high - low)
    rules = {0: "zero", 1: "full"}
    levels = [
        Tick(value, str(value), rules.get(value, "grid"))
        for value in range(int(low), int(high) + 1)
        if low <= value <= high
    ]
    ends = (weights[0], weights[-1]) if len(weights) > 1 else (weights[0] - 0.5, weights[0] + 0.5)
    return chart(
        [
            Line(curve.style, list(zip(curve.weights, curve.values, strict=True)), curve.style != "each")
            for curve in curves
        ],
        label=description,
        x=Axis(*ends, [Tick(weight, signed(weight)) for weight in weights], "weight of the LoRA"),
        y=Axis(low, high, levels, "effect (1 = the edit itself)"),
        size=_SIZE,
    )


def leak_bars(leak: float, control: float | None) -> Html:
    """Two bars: this LoRA's leak, and that of a LoRA trained the ordinary way."""
    rows = [("this LoRA", leak, "a")]
    if control is not None:
        rows.append(("ordinary training", control, "control"))
    full = max(1.0, *(abs(value) for _, value, _ in rows))
    return tag(
        "div",
        [_bar(name, max(value, 0.0) / full, kind, f"{value:.2f}") for name, value, kind in rows],
        class_="bars",
    )


def time_bars(seconds: Sequence[tuple[str, float]]) -> Html:
    """A bar for every step, as long as it took."""
    longest = max((value for _, value in seconds), default=0.0) or 1.0
    rows = [_bar(name, value / longest, "time", duration(value)) for name, value in seconds]
    return tag("div", rows, class_="bars times")


def _bar(name: str, share: float, kind: str, told: str) -> Html:
    bar = tag("i", class_=kind, style=f"--share:{100 * share:.1f}%")
    return tag("div", tag("span", name), bar, tag("b", told), class_="bar")
