"""Captions by turns: shuffled tags, and other prompts in their place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lib_copier.train.captions import plan_captions, shuffle_tags

_OTHERS = ("a dog", "a city at night", "")


def _book(captions, **changes):
    settings = {"uses": 400, "shuffle": True, "keep_tokens": 0, "seed": 3, "limit": 256}
    return plan_captions(captions, **{**settings, **changes})


@given(keep=st.integers(0, 4), order=st.integers(0, 50), seed=st.integers(0, 9))
def test_shuffling_keeps_every_tag_and_the_first_in_place(keep, order, seed):
    tags = ["a", "b", "c", "d"]
    found = shuffle_tags(", ".join(tags), order, seed=seed, keep_tokens=keep).split(", ")
    assert sorted(found) == tags
    assert found[:keep] == tags[:keep]


def test_other_prompts_take_their_share_and_all_occur():
    book = _book(["x, y"], others=_OTHERS, other_share=0.6)
    used = [book.texts[book.row(0, use)] for use in range(256)]
    others = [text for text in used if text in _OTHERS]
    assert set(others) == set(_OTHERS)
    assert 0.5 < len(others) / len(used) < 0.7
    assert {text for text in used if text not in _OTHERS} == {"x, y", "y, x"}


def test_without_a_share_the_captions_are_those_of_the_picture_alone():
    assert set(_book(["x, y"], others=_OTHERS).texts) == {"x, y", "y, x"}
    assert _book(["x, y"], shuffle=False, others=_OTHERS).texts == ("x, y",)


def test_what_stands_in_depends_on_the_seed_and_not_on_the_picture():
    def places(caption, seed):
        book = _book([caption], others=_OTHERS, other_share=0.5, seed=seed)
        return [book.texts[book.row(0, use)] in _OTHERS for use in range(64)]

    assert places("x, y", 3) == places("another, picture", 3)
    assert places("x, y", 3) != places("x, y", 4)
