"""Which pairs are worth learning from: none that shows nothing, is there already, or does the opposite."""

from __future__ import annotations

import pytest
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import apply_chain
from lib_copier.measure.pairs import Pair, judge, pairs_sheet

BRIGHTER = (EffectUse("brightness", 0.6),)


@pytest.fixture
def pair(scene):
    def make(name: str, seed: int, *, is_by_hand: bool = True, is_turned: bool = False) -> Pair:
        origin = scene(seed)
        edited = apply_chain(origin, BRIGHTER)
        both = (edited, origin) if is_turned else (origin, edited)
        return Pair(name, *both, is_by_hand)

    return make


def test_pairs_that_agree_are_all_kept(pair):
    found = judge([pair("a", 1), pair("b", 2), pair("c", 3)])
    assert found == {"kept": ["a", "b", "c"], "left_out": [], "notes": []}


def test_one_that_does_the_opposite_of_the_others_is_left_out_and_both_are_named(pair):
    found = judge([pair("a", 1), pair("b", 2), pair("c", 3, is_turned=True)])
    assert found["kept"] == ["a", "b"]
    (reason,) = [one["reason"] for one in found["left_out"]]
    assert reason.removesuffix("a").removesuffix("b") == "its edit does the opposite of that of "
    assert found["notes"] == [f"Pair c is left out: {reason}."]


def test_of_two_that_contradict_each_other_neither_can_be_learned(pair):
    with pytest.raises(
        InputError, match=r"Pair a .* opposite of that of b\. Pair b .* opposite of that of a"
    ):
        judge([pair("a", 1), pair("b", 2, is_turned=True)])


def test_effects_contradict_nothing(pair):
    drawn = [pair("a", 1, is_by_hand=False), pair("b", 2, is_by_hand=False, is_turned=True)]
    assert judge(drawn)["kept"] == ["a", "b"]


def test_the_same_picture_twice_counts_once(pair):
    found = judge([pair("a", 1), pair("b", 1), pair("c", 3)])
    assert found["kept"] == ["a", "c"]
    assert found["notes"] == ["Pair b is left out: it is the same picture as a."]


def test_what_shows_nothing_is_left_out(pair, scene):
    grey = Image.new("RGB", scene(1).size, (90, 90, 90))
    empty = Pair("00", grey, apply_chain(grey, BRIGHTER), is_by_hand=False)
    same = Pair("01", scene(4), scene(4), is_by_hand=False)
    found = judge([empty, same, pair("a", 1), pair("b", 2)])
    assert found["kept"] == ["a", "b"]
    assert [one["reason"] for one in found["left_out"]] == [
        "the checkpoint drew nothing",
        "the edit changes nothing in it",
    ]


def test_a_single_pair_says_which_method_to_take(pair):
    with pytest.raises(InputError, match="Of 1 pairs 1 can be learned from, 2 are needed") as raised:
        judge([pair("a", 1)])
    assert "project.method=copier" in raised.value.advice


def test_the_sheet_shows_each_edited_picture_under_its_origin(pair):
    some = [pair(str(seed), seed) for seed in range(3)]
    nine = pairs_sheet(some * 3)
    assert nine.height > 1.9 * pairs_sheet(some).height
