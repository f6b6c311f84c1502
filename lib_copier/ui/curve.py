"""Curves as inline SVG: no plotting library, the host's own colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lib_copier.ui.html import Html, tag

Point = tuple[float, float]

WIDTH, HEIGHT = 640.0, 180.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 12.0, 26.0
MOST_POINTS = 400


def smoothed(points: Sequence[Point], share: float = 0.05) -> list[Point]:
    """Points with each value replaced by a running mean over a share of the curve."""
    window = max(1, int(len(points) * share))
    result, total = [], 0.0
    for index, (x, y) in enumerate(points):
        total += y
        if index >= window:
            total -= points[index - window][1]
        result.append((x, total / min(index + 1, window)))
    return result


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most `most` points, evenly taken, the last always among them."""
    if len(points) <= most:
        return list(points)
    step = len(points) / most
    kept = [points[int(index * step)] for index in range(most)]
    return [*kept[:-1], points[-1]]


def curve(
    lines: Sequence[tuple[str, Sequence[Point]]],
    *,
    label: str,
    marks: Sequence[tuple[float, str]] = (),
    shade: tuple[float, float] | None = None,
    with_dots: bool = False,
) -> Html:
    """A chart of one or more lines over a common x axis.

    Parameters
    ----------
    lines:
        ``(class, points)``: the class decides the colour, in the style sheet.
    label:
        What it shows, for those who hear the page.
    marks:
        Vertical lines at an x, with a word each.
    shade:
        A range of x to shade: the recommended weights.
    """
    finite = [
        (kind, [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])]) for kind, points in lines
    ]
    every = [point for _kind, points in finite for point in points]
    if len(every) < 2:
        return Html("")
    low_x, high_x = _span([x for x, _y in every])
    low_y, high_y = _span([y for _x, y in every])

    def at(point: Point) -> Point:
        x = _LEFT + (point[0] - low_x) / (high_x - low_x) * (WIDTH - _LEFT - _RIGHT)
        y = HEIGHT - _BOTTOM - (point[1] - low_y) / (high_y - low_y) * (HEIGHT - _TOP - _BOTTOM)
        return round(x, 1), round(y, 1)

    children: list[Html] = []
    if shade is not None:
        (left, _), (right, _) = at((max(shade[0], low_x), low_y)), at((min(shade[1], high_x), low_y))
        children.append(
            tag(
                "rect",
                class_="cl-shade",
                x=left,
                y=_TOP,
                width=max(0.0, right - left),
                height=HEIGHT - _TOP - _BOTTOM,
            )
        )
    children += _axes(low_x, high_x, low_y, high_y)
    for x, word in marks:
        px, _ = at((x, low_y))
        children.append(tag("line", class_="cl-mark", x1=px, x2=px, y1=_TOP, y2=HEIGHT - _BOTTOM))
        children.append(tag("text", word, x=px + 4, y=_TOP + 10, class_="cl-axis"))
    for kind, points in finite:
        children += _line(kind, [at(point) for point in thinned(points)], with_dots=with_dots)
    return tag(
        "svg", children, class_="cl-curve", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img", aria_label=label
    )


def _line(kind: str, drawn: Sequence[Point], *, with_dots: bool) -> list[Html]:
    line = tag("polyline", class_=f"cl-line {kind}", points=" ".join(f"{x},{y}" for x, y in drawn))
    if not with_dots:
        return [line]
    return [line, *(tag("circle", class_=f"cl-dot {kind}", cx=x, cy=y, r=3.5) for x, y in drawn)]


def _axes(low_x: float, high_x: float, low_y: float, high_y: float) -> list[Html]:
    base = HEIGHT - _BOTTOM
    return [
        tag("line", class_="cl-base", x1=_LEFT, x2=WIDTH - _RIGHT, y1=base, y2=base),
        tag("text", _short(high_y), x=_LEFT - 6, y=_TOP + 9, class_="cl-axis", text_anchor="end"),
        tag("text", _short(low_y), x=_LEFT - 6, y=base, class_="cl-axis", text_anchor="end"),
        tag("text", _short(low_x), x=_LEFT, y=HEIGHT - 8, class_="cl-axis"),
        tag("text", _short(high_x), x=WIDTH - _RIGHT, y=HEIGHT - 8, class_="cl-axis", text_anchor="end"),
    ]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _short(value: float) -> str:
    # What stands left of the axis has room for seven characters.
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.2g}"
