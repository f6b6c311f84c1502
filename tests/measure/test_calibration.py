"""The search for the gain at which weight 1 is the edit, on known curves and on known pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import apply_chain
from lib_copier.measure.calibration import HIGHEST, LOWEST, MOST_LOOKS, Look, Search, calibrate
from lib_copier.measure.direction import Edit
from lib_copier.txt2img.pictures import PictureRequest


def found(strength, leak=lambda weight: 0.0, most_leak=0.05):
    """Search on a curve of strengths and one of leaks; gain, bound and what was looked at."""
    search = Search(most_leak, {})
    while (weight := search.next_weight()) is not None:
        search = search.with_look(weight, Look(strength(weight), leak(weight)))
    return (*search.result(), search)


@given(slope=st.floats(0.5, 2.5), bend=st.floats(-0.08, 0.1))
def test_the_whole_edit_is_found_on_every_gentle_curve(slope, bend):
    curve = lambda weight: slope * weight + bend * slope * weight * weight  # noqa: E731
    gain, bound, search = found(curve)
    assert bound == "" and 0.9 <= curve(gain) <= 1.1
    assert len(search.looks) <= MOST_LOOKS and next(iter(search.looks)) == 1.0


@given(slope=st.floats(0.05, 8.0), leaking=st.floats(0.0, 0.3), power=st.floats(1.0, 3.0))
def test_no_gain_leaks_more_than_is_allowed_where_another_was_tried(slope, leaking, power):
    gain, bound, search = found(lambda weight: slope * weight, lambda weight: leaking * weight**power)
    assert LOWEST <= gain <= HIGHEST and gain in search.looks
    if any(look.leak <= 0.05 for look in search.looks.values()):
        assert search.looks[gain].leak <= 0.05
    assert bound or abs(1.0 - search.looks[gain].strength) <= 0.08


@pytest.mark.parametrize(
    ("strength", "leak", "said"),
    [
        (lambda w: 0.5 * w, lambda w: 0.03 * w**3, "beyond it more than 0.05 leaks"),
        (lambda w: 0.5 * w, lambda w: 0.4, "it leaks more than 0.05 at every gain"),
        (lambda w: min(0.6, 0.6 * w), lambda w: 0.0, "beyond it the effect no longer grows"),
        (lambda w: 0.1 * w, lambda w: 0.0, "gains end at 4"),
        (lambda w: 6.0 * w, lambda w: 0.0, "gains end at 0.25"),
        (lambda w: 0.01 * w, lambda w: 0.0, "it hardly follows its weight"),
        (lambda w: -0.8 * w, lambda w: 0.0, "it hardly follows its weight"),
    ],
)
def test_what_kept_it_from_the_whole_edit_is_said(strength, leak, said):
    gain, bound, search = found(strength, leak)
    assert bound.startswith(said) and gain in search.looks


def test_a_gain_ends_where_the_effect_hardly_grows_and_all_else_goes_on():
    # As measured of flat colours: nothing was gained beyond 1 but what changes beside the edit.
    strength = lambda w: float(np.interp(w, [0.0, 1.0, 2.0], [0.0, 0.4394, 0.4818]))  # noqa: E731
    leak = lambda w: float(np.interp(w, [0.0, 1.0, 1.439, 2.0], [0.0, 0.03, 0.0463, 0.1285]))  # noqa: E731
    gain, bound, search = found(strength, leak)
    assert (gain, bound) == (1.0, "beyond it the effect no longer grows") and list(search.looks) == [1.0, 2.0]


def test_an_effect_that_hardly_grows_is_no_end_where_less_of_it_is_wanted():
    strength = lambda w: float(np.interp(w, [0.0, 0.3, 0.6, 0.77, 1.0], [0.0, 0.7, 1.1, 1.25, 1.3]))  # noqa: E731
    gain, bound, _search = found(strength)
    assert bound == "" and strength(gain) == pytest.approx(1.0, abs=0.08)
    leak = lambda w: 0.1 * w  # noqa: E731
    strength = lambda w: float(np.interp(w, [0.0, 0.4, 0.7, 1.0], [0.0, 0.45, 0.55, 0.6]))  # noqa: E731
    gain, _bound, search = found(strength, leak)
    assert search.looks[gain].leak <= 0.05 and gain > 0.35


def test_it_gets_near_the_weight_at_which_the_leak_passes_its_bound():
    gain, _bound, search = found(lambda w: 0.6 * w, lambda w: 0.014 * w**4)
    assert 0.7 <= search.looks[gain].leak / 0.05 <= 1.0


@given(excess=st.floats(0.0001, 0.005))
def test_a_look_that_hardly_passes_the_bound_does_not_end_the_search(excess):
    # As measured of an outline, where the third look was at 1.551.
    strength = lambda w: float(np.interp(w, [0.0, 1.0, 1.551, 2.0], [0.0, 0.4846, 0.8769, 1.4201]))  # noqa: E731
    leak = lambda w: float(np.interp(w, [0.0, 1.0, 1.551, 2.0], [0.0, 0.0064, 0.05 + excess, 0.0941]))  # noqa: E731
    gain, _bound, search = found(strength, leak)
    assert gain > 1.45 and search.looks[gain].leak <= 0.05


@pytest.mark.parametrize("sign", [1, -1])
def test_pictures_of_a_known_slider_give_its_gain(scene, known_maker, tmp_path, sign):
    chain = (EffectUse("contrast", 1.0, {"amount": 0.3}),)
    origin = scene(99)
    edited = apply_chain(origin, chain)
    progress = []
    result = calibrate(
        known_maker(scene, chain, edited, gain=0.6 * sign),
        lora=tmp_path / "x",
        requests=[PictureRequest("x", seed=seed) for seed in range(4)],
        edit=Edit(chain, ((origin, edited),)),
        sign=sign,
        most_leak=0.05,
        output=tmp_path,
        progress=lambda done, total: progress.append((done, total)),
    )
    assert result["gain"] == pytest.approx(1 / 0.6, rel=0.1) and result["bound"] == ""
    assert 0.9 <= result["strength"] <= 1.1 and abs(result["leak"]) <= 0.05
    assert result["looks"][0]["weight"] == 1.0 and (tmp_path / result["sheet"]).is_file()
    assert all(done <= total for done, total in progress)
