"""What measured numbers are worth."""

from __future__ import annotations

import pytest

from lib_copier.ui.verdict import copier_verdict, shortfall, slider_doubts


def test_a_copier_is_judged_by_its_decibels():
    assert [copier_verdict(one) for one in (24.0, 23.9, 20.0, 19.9)] == ["good", "fair", "fair", "poor"]


def sweep(strength, pictures):
    return {"strength": strength, "rank_correlation": 1.0, "pictures": [["a.png"]] * pictures}


def test_ranks_of_nothing_or_of_one_picture_are_doubted():
    assert slider_doubts(sweep(0.0, 1)) == {"preview.too_weak": "0.00", "preview.too_few": "1"}
    assert slider_doubts(sweep(-0.09, 8)) == {"preview.too_weak": "-0.09"}
    assert slider_doubts(sweep(-0.9, 3)) == {}


@pytest.mark.parametrize(
    ("kind", "report", "found"),
    [
        ("check", {"psnr_db": {"median": 14.23}}, ("short.check", "14.2")),
        ("check", {"psnr_db": {"median": 20.0}}, None),
        ("sweep", sweep(0.0, 8), ("short.sweep", "0.00")),
        ("sweep", sweep(-0.8, 8), ("short.sweep", "-0.80")),
        ("sweep", sweep(0.8, 8), None),
        ("copier", {"strength": 0}, None),
        *(
            (kind, report, None)
            for kind in ("check", "sweep")
            for report in ({}, {"psnr_db": 7, "strength": "x"})
        ),
    ],
)
def test_a_step_that_missed_what_it_was_for(kind, report, found):
    assert shortfall(kind, report) == found
