"""Curves as SVG."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from lib_copier.ui.curve import HEIGHT, MOST_POINTS, WIDTH, curve, smoothed, thinned
from tests.ui.page_reader import read

POINTS = st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=40)


@given(POINTS)
def test_every_point_lies_on_the_picture(points):
    reader = read(curve([("a", points)], label="x", with_dots=True))
    dots = [found for name, found in reader.tags if name == "circle"]
    assert len(dots) == len(points)
    assert all(0 <= float(d["cx"]) <= WIDTH and 0 <= float(d["cy"]) <= HEIGHT for d in dots)


def test_nothing_is_drawn_of_nothing():
    assert curve([("a", [])], label="x") == ""
    assert curve([("a", [(1.0, math.nan), (2.0, math.inf)])], label="x") == ""


def test_smoothing_is_a_running_mean():
    points = [(float(x), float(x % 2)) for x in range(100)]
    values = [y for _, y in smoothed(points, 0.1)]
    assert all(abs(value - 0.5) < 1e-9 for value in values[9:])


def test_thinning_keeps_the_last_point():
    points = [(float(x), 0.0) for x in range(10 * MOST_POINTS)]
    assert len(thinned(points)) == MOST_POINTS
    assert thinned(points)[-1] == points[-1]
