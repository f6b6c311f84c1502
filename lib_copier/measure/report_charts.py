"""The report's drawings, as inline SVG in the page's own colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 38


@dataclass(frozen=True)
class Curve:
    """One line of the chart: effect in units of the full edit over the weight."""

    label: str
    style: str
    """A class of the page's style sheet: ``a``, ``b``, ``control`` or ``each``."""
    weights: Sequence[float]
    values: Sequence[float]


def effect_chart(curves: Sequence[Curve], description: str) -> str:
    """Effect over weight; 1 on the vertical axis is the edit applied to the picture itself."""
    weights = sorted({weight for curve in curves for weight in curve.weights})
    heights = [value for curve in curves for value in curve.values] + [-1.0, 0.0, 1.0]
    low, high = max(min(heights), -4.0), min(max(heights), 4.0)
    low, high = low - 0.08 * (high - low), high + 0.08 * (high - low)
    first, last = weights[0], weights[-1]

    def x(weight: float) -> float:
        return LEFT + (weight - first) / max(last - first, 1e-9) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        inside = min(max(value, low), high)
        return TOP + (high - inside) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}">',
        f"<title>{escape(description)}</title>",
    ]
    for value in range(int(low) - 1, int(high) + 2):
        if low <= value <= high:
            kind = "zero" if value == 0 else "full" if value == 1 else "grid"
            parts.append(
                f'<path class="{kind}" d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}"/>'
                f'<text class="tick" x="{LEFT - 7}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>'
            )
    for weight in weights:
        parts.append(
            f'<text class="tick" x="{x(weight):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">'
            f"{signed(weight)}</text>"
        )
    parts.append(
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 4}" text-anchor="middle">'
        "weight of the LoRA</text>"
        f'<text class="axis" transform="translate(12 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)" '
        'text-anchor="middle">effect (1 = the edit itself)</text>'
    )
    for curve in curves:
        points = " ".join(f"{x(w):.1f},{y(v):.1f}" for w, v in zip(curve.weights, curve.values, strict=True))
        parts.append(f'<polyline class="curve {curve.style}" points="{points}"/>')
        if curve.style != "each":
            parts += [
                f'<circle class="dot {curve.style}" cx="{x(w):.1f}" cy="{y(v):.1f}" r="3.2"/>'
                for w, v in zip(curve.weights, curve.values, strict=True)
            ]
    return "".join(parts) + "</svg>"


def leak_bars(leak: float, control: float | None) -> str:
    """Two bars: this LoRA's leak, and that of a LoRA trained the ordinary way."""
    rows = [("this LoRA", leak, "a")]
    if control is not None:
        rows.append(("ordinary training", control, "control"))
    full = max(1.0, *(abs(value) for _, value, _ in rows))
    bars = "".join(
        f'<div class="bar"><span>{escape(name)}</span><i class="{kind}" '
        f'style="--share:{100 * max(value, 0.0) / full:.1f}%"></i><b>{value:.2f}</b></div>'
        for name, value, kind in rows
    )
    return f'<div class="bars">{bars}</div>'


def time_bars(seconds: Sequence[tuple[str, float]]) -> str:
    """A bar for every step, as long as it took."""
    longest = max((value for _, value in seconds), default=0.0) or 1.0
    rows = "".join(
        f'<div class="bar"><span>{escape(name)}</span><i class="time" '
        f'style="--share:{100 * value / longest:.1f}%"></i><b>{duration(value)}</b></div>'
        for name, value in seconds
    )
    return f'<div class="bars times">{rows}</div>'


def signed(weight: float) -> str:
    """A weight with its sign, as −0.5, 0 or +1."""
    return f"{weight:+g}".replace("-", "\N{MINUS SIGN}") if weight else "0"


def duration(seconds: float) -> str:
    """A time for reading: 8.4 s, 3 min 20 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest:02d} s"
