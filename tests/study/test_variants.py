"""Variants: a number and a name that stay, and an ordinary recipe each."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.files.names import name_fault
from lib_copier.study.axes import Axis, Choice, read_axes
from lib_copier.study.variants import variants, with_ending

AXES = [
    {"address": "origins.one.seed", "values": [1, 2]},
    {"address": "edits.outline.effects.strength", "values": [0.5, 1]},
    {"address": "project.method", "values": ["copier", "difference"]},
]
_texts = st.lists(st.text(max_size=30), min_size=1, max_size=3, unique=True)


def test_every_choice_meets_every_other_and_the_last_turns_fastest(recipe):
    found = variants(read_axes(AXES, recipe()))
    assert len(found) == 8
    assert [one.number for one in found] == list(range(1, 9))
    assert found[1].name == "2-seed-1-strength-0.5-difference"
    made = found[-1].recipe(recipe(project__name="asked"))
    assert made.origin("one").get("seed") == 2
    assert made.edit("outline").effects[0].text() == "outline"
    assert (made.method, made.get("project.name")) == ("difference", "asked-8")


def test_listed_axes_go_side_by_side(recipe):
    found = variants(read_axes(AXES, recipe(), is_crossed=False), is_crossed=False)
    assert [[choice.name for choice in one.choices] for one in found] == [
        ["1", "0.5", "copier"],
        ["2", "1", "difference"],
    ]


@settings(max_examples=50)
@given(_texts, _texts, st.text(max_size=40))
def test_names_are_parts_of_paths_and_no_two_are_one(first, second, axis):
    axes = [
        Axis(name, tuple(Choice(text, (("copier.rank", 4),)) for text in texts))
        for name, texts in ((axis, first), ("b", second))
    ]
    names = [one.name for one in variants(axes)]
    assert len({name.casefold() for name in names}) == len(names) == len(first) * len(second)
    assert not any(map(name_fault, names))


@given(st.text(max_size=80))
def test_a_name_with_an_ending_is_no_longer_than_a_name_may_be(name):
    found = with_ending(name, "-10000")
    assert found.endswith("-10000") and len(found.encode()) <= 60
    assert name_fault(with_ending("線を太く" * 9, "-mean-3")) is None
