"""Axes from outside: each fault in one line, before anything is made."""

from __future__ import annotations

import pytest

from lib_copier.errors import FaultsError
from lib_copier.study.axes import MOST_VARIANTS, document_of, read_axes

SEEDS = {"address": "origins.one.seed", "values": [1, 2]}


def test_axes_come_back_from_their_json(recipe):
    together = {
        "name": "look",
        "values": [{"name": "a", "set": {"origins.one.prompt": "a cat", "copier.rank": 4}}],
    }
    axes = read_axes([SEEDS, together], recipe())
    assert [[choice.name for choice in axis.choices] for axis in axes] == [["1", "2"], ["a"]]
    assert read_axes(document_of(axes), recipe()) == axes


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("x", "no list of 1 to"),
        ([], "no list of 1 to"),
        ([SEEDS] * 13, "no list of 1 to"),
        ([{"address": "copier.rank", "values": []}], "has 0 values"),
        (
            [{"address": "origins.one.seed", "values": [0] * 1_000_000}],
            f"has 1000000 values; it takes 1 to {MOST_VARIANTS}",
        ),
        ([{"address": "origins.one.seed", "values": {"a": 1}}], "has 0 values"),
        ([{"address": "copier.rnk", "values": [4]}], "copier.rnk is no setting (did you mean copier.rank?)"),
        ([{"address": "copier.rank", "values": [0, "x"]}], "copier.rank is a whole number"),
        ([{"address": "copier.rank", "values": [{"deep": 1}]}], "copier.rank is a whole number"),
        ([{"address": "copier.rank", "values": [4, "4"]}], "'4' is the same as '4'"),
        ([{"address": "sweep.pairs", "values": [1, 2]}], "sweep.pairs changes no slider"),
        ([{"address": "edits.outline.sweep.pairs", "values": [1]}], "changes no slider"),
        ([{"address": "publish.folder", "values": ["/"]}], "changes no slider"),
        ([{"address": "project.name", "values": ["a"]}], "changes no slider"),
        ([{"address": "edits.outline.effects.strength", "values": ["much"]}], "strength=much is no number"),
        ([{"address": "edits.flat.effects.strength", "values": [1]}], "means no one effect"),
        ([SEEDS, SEEDS], "2 axes are named 'origins.one.seed'"),
        ([{"name": "a", "values": [{"set": {}}]}], "value 1 is no object of a name and what it sets"),
        ([{"name": "a\0b", "values": [1]}], "its name is no name"),
        ([{"name": "a", "value": [1]}], "no object of an address"),
        ([3], "no object of an address"),
    ],
)
def test_what_is_no_axis_is_told_in_a_line(recipe, given, told):
    with pytest.raises(FaultsError) as caught:
        read_axes(given, recipe())
    assert told in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_of_a_long_axis_a_few_faults_are_told(recipe):
    with pytest.raises(FaultsError) as caught:
        read_axes([{"address": "copier.rank", "values": [-n for n in range(1, 101)]}], recipe())
    assert len(caught.value.faults) == 6 and "95 more values cannot be used" in caught.value.faults[-1]


def test_too_many_variants_and_unequal_lists_are_refused(recipe):
    seeds = {"address": "origins.one.seed", "values": list(range(200))}
    ranks = {"address": "copier.rank", "values": list(range(1, 101))}
    with pytest.raises(FaultsError, match="20000 variants; a study takes 10000"):
        read_axes([seeds, ranks], recipe())
    with pytest.raises(FaultsError, match=r"as many values each \(origins.one.seed 200, copier.rank 100\)"):
        read_axes([seeds, ranks], recipe(), is_crossed=False)
