"""Charts as inline SVG: no plotting library; a page's style sheet gives the colours by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib_copier.markup.html import Attribute, Html, tag

Point = tuple[float, float]

WIDTH, HEIGHT = 640.0, 180.0
MOST_POINTS = 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 14.0, 26.0
_TITLE_ROOM = 14.0
_LARGEST = 1e300
"""A number above, or none at all, is left out of a line."""


@dataclass(frozen=True)
class Line:
    """One line of a chart; `kind` is a class of the style sheet and decides the colour."""

    kind: str
    points: Sequence[Point]
    has_dots: bool = False


@dataclass(frozen=True)
class Tick:
    """A value on an axis with its word; with a `rule` (a class), a line goes across the chart there."""

    value: float
    text: str
    rule: str = ""


@dataclass(frozen=True)
class Axis:
    """What an axis spans; what lies outside is drawn at its end."""

    low: float
    high: float
    ticks: Sequence[Tick]
    title: str = ""

    def share(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high."""
        # Halves, so that a span of two huge numbers is no infinity.
        inside = min(max(value, self.low), self.high)
        return (inside / 2 - self.low / 2) / (self.high / 2 - self.low / 2)


def axis_over(values: Sequence[float]) -> Axis:
    """An axis from the lowest to the highest value, both written."""
    low, high = min(values), max(values)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-280):
        room = max(0.5, abs(low) * 1e-3)
        low, high = low - room, high + room
    return Axis(low, high, (Tick(low, _short(low)), Tick(high, _short(high))))


def chart(
    lines: Sequence[Line],
    *,
    label: str,
    x: Axis | None = None,
    y: Axis | None = None,
    marks: Sequence[tuple[float, str]] = (),
    shade: tuple[float, float] | None = None,
    size: Point = (WIDTH, HEIGHT),
) -> Html:
    """Lines over a common x axis; empty where fewer than two points can be drawn.

    Parameters
    ----------
    label:
        What it shows, for those who hear the page.
    x, y:
        The axes; where left out, they span the points.
    marks:
        Vertical lines at an x, with a word each.
    shade:
        A range of x to shade: the recommended weights.
    size:
        Width and height in the drawing's own units; on the page it grows to its place.
    """
    finite = [Line(line.kind, _finite(line.points), line.has_dots) for line in lines]
    every = [point for line in finite for point in line.points]
    if len(every) < 2:
        return Html("")
    frame = _Frame(x or axis_over([px for px, _ in every]), y or axis_over([py for _, py in every]), size)
    drawn = [tag("title", label)]
    if shade is not None:
        left, right = frame.at((shade[0], 0.0))[0], frame.at((shade[1], 0.0))[0]
        box = {"x": left, "y": _TOP, "width": max(0.0, right - left), "height": frame.base - _TOP}
        drawn.append(tag("rect", class_="cl-shade", **box))
    drawn += frame.axes()
    for value, word in marks:
        px = frame.at((value, 0.0))[0]
        drawn.append(tag("line", class_="cl-mark", x1=px, x2=px, y1=_TOP, y2=frame.base))
        drawn.append(tag("text", word, x=px + 4, y=_TOP + 10, class_="cl-axis"))
    for line in finite:
        drawn += _line(line, [frame.at(point) for point in thinned(line.points)])
    view = f"0 0 {size[0]:g} {size[1]:g}"
    return tag("svg", drawn, class_="cl-curve", viewBox=view, role="img", aria_label=label)


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


@dataclass(frozen=True)
class _Frame:
    """Where a chart's points lie on the drawing."""

    x: Axis
    y: Axis
    size: Point

    @property
    def left(self) -> float:
        return _LEFT + (_TITLE_ROOM if self.y.title else 0.0)

    @property
    def right(self) -> float:
        return self.size[0] - _RIGHT

    @property
    def base(self) -> float:
        return self.size[1] - _BOTTOM - (_TITLE_ROOM if self.x.title else 0.0)

    def at(self, point: Point) -> Point:
        px = self.left + self.x.share(point[0]) * (self.right - self.left)
        return round(px, 1), round(self.base - self.y.share(point[1]) * (self.base - _TOP), 1)

    def axes(self) -> list[Html]:
        words: dict[str, Attribute]
        drawn = [tag("line", class_="cl-base", x1=self.left, x2=self.right, y1=self.base, y2=self.base)]
        for tick in self.y.ticks:
            py = self.at((self.x.low, tick.value))[1]
            if tick.rule:
                drawn.append(tag("line", class_=tick.rule, x1=self.left, x2=self.right, y1=py, y2=py))
            words = {"x": self.left - 6, "y": min(max(py + 4, _TOP + 9), self.base), "text_anchor": "end"}
            drawn.append(tag("text", tick.text, class_="cl-axis", **words))
        for tick in self.x.ticks:
            px = self.at((tick.value, self.y.low))[0]
            words = {"x": px, "y": self.base + 18, "text_anchor": _anchor(self.x.share(tick.value))}
            drawn.append(tag("text", tick.text, class_="cl-axis", **words))
        middle_x, middle_y = (self.left + self.right) / 2, (_TOP + self.base) / 2
        if self.x.title:
            words = {"x": middle_x, "y": self.size[1] - 4, "text_anchor": "middle"}
            drawn.append(tag("text", self.x.title, class_="cl-axis", **words))
        if self.y.title:
            turned = f"translate(12 {middle_y:g}) rotate(-90)"
            drawn.append(tag("text", self.y.title, class_="cl-axis", transform=turned, text_anchor="middle"))
        return drawn


def _line(line: Line, drawn: Sequence[Point]) -> list[Html]:
    path = tag("polyline", class_=f"cl-line {line.kind}", points=" ".join(f"{x},{y}" for x, y in drawn))
    if not line.has_dots:
        return [path]
    return [path, *(tag("circle", class_=f"cl-dot {line.kind}", cx=x, cy=y, r=3.5) for x, y in drawn)]


def _finite(points: Sequence[Point]) -> list[Point]:
    return [(x, y) for x, y in points if abs(x) <= _LARGEST and abs(y) <= _LARGEST]


def _anchor(share: float) -> str:
    """Words at an axis's ends stay within the drawing."""
    return "start" if share <= 0.0 else "end" if share >= 1.0 else "middle"


def _short(value: float) -> str:
    # What stands left of the axis has room for seven characters.
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.2g}"
