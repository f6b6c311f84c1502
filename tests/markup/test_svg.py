"""Charts as SVG."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from lib_copier.markup.svg import HEIGHT, MOST_POINTS, WIDTH, Axis, Line, Tick, chart, smoothed, thinned
from tests.ui.page_reader import read

FINITE = st.floats(-1e300, 1e300)
POINTS = st.lists(st.tuples(FINITE, FINITE), min_size=2, max_size=40)


@given(POINTS)
def test_every_point_lies_on_the_picture(points):
    reader = read(chart([Line("a", points, has_dots=True)], label="x"))
    dots = [found for name, found in reader.tags if name == "circle"]
    assert len(dots) == len(points)
    assert all(0 <= float(d["cx"]) <= WIDTH and 0 <= float(d["cy"]) <= HEIGHT for d in dots)


def test_what_lies_outside_a_given_axis_is_drawn_at_its_end():
    axis = Axis(-1.0, 1.0, [Tick(0.0, "0", "zero"), Tick(1.0, "1", "full")], title="effect")
    reader = read(chart([Line("a", [(0.0, -50.0), (1.0, 50.0)], has_dots=True)], label="x", y=axis))
    low, high = (float(found["cy"]) for name, found in reader.tags if name == "circle")
    rules = {found["class"]: float(found["y1"]) for name, found in reader.tags if name == "line"}
    assert rules["full"] == high < rules["zero"] < low
    assert "effect" in reader.text


def test_nothing_is_drawn_of_nothing():
    assert chart([Line("a", [])], label="x") == ""
    assert chart([Line("a", [(1.0, math.nan), (2.0, math.inf)])], label="x") == ""


def test_words_on_a_chart_are_escaped():
    drawn = chart([Line("a", [(0, 0), (1, 1)])], label='"><script>', marks=[(0.5, "<script>")])
    assert {name for name, _ in read(drawn).tags} == {"svg", "title", "line", "text", "polyline"}


def test_smoothing_is_a_running_mean():
    points = [(float(x), float(x % 2)) for x in range(100)]
    values = [y for _, y in smoothed(points, 0.1)]
    assert all(abs(value - 0.5) < 1e-9 for value in values[9:])


def test_thinning_keeps_the_last_point():
    points = [(float(x), 0.0) for x in range(10 * MOST_POINTS)]
    assert len(thinned(points)) == MOST_POINTS
    assert thinned(points)[-1] == points[-1]
