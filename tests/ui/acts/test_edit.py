"""Edits and their effects: chained, tried, moved by sliders."""

from __future__ import annotations

import json

import pytest

from lib_copier.image.effects import EFFECTS
from lib_copier.recipe.model import Effect
from tests.ui.conftest import make_project
from tests.ui.page_reader import read


def test_edits_are_renamed_and_removed(ask, view, recipe):
    second = ask("add_edit", {**view, "panel": "edit"})["view"]
    renamed = ask("rename_edit", second, values={"name": "soft"})["view"]
    assert renamed["edit"] == "soft"
    assert [edit.name for edit in recipe().edits] == ["outline", "soft"]
    assert ask("rename_edit", renamed, values={"name": "outline"})["notice"]["kind"] == "error"
    ask("remove_edit", renamed)
    assert [edit.name for edit in recipe().edits] == ["outline"]


def test_effects_are_chained_tried_and_stored(ask, view, recipe):
    place = {**view, "panel": "edit"}
    chained = ask("add_effect", place, value="grain")["view"]
    assert chained["link"] == 1
    tried = {"strength": "0.5", "param.amount": "0.1", "param.size": "1"}
    answer = ask("try_effect", chained, values=tried)
    assert 'value="0.5"' in answer["html"]["panel"]
    assert recipe().edits[0].effects[1].strength == 1.0
    ask("set_effect", chained, values=tried)
    assert recipe().edits[0].effects[1].strength == 0.5
    assert dict(recipe().edits[0].effects[1].params)["amount"] == 0.1
    for junk in ({}, {"strength": "nan"}, {**tried, "strength": "99"}):
        assert ask("set_effect", chained, values=junk)["notice"]["kind"] == "error"
    ask("remove_effect", chained)
    assert [effect.name for effect in recipe().edits[0].effects] == ["outline"]


def test_a_negative_parameter_and_a_hidden_one_survive(ask, view, recipe):
    place = ask("add_effect", {**view, "panel": "edit"}, value="grain")["view"]
    ask("set_effect", place, values={"strength": "1", "param.amount": "0.2", "param.size": "2"})
    assert "param.seed" not in ask("go", place)["html"]["panel"]
    assert (
        ask("set_effect", place, values={"strength": "1", "param.amount": "0.3", "param.size": "2"})["notice"]
        is None
    )


def sliders(html):
    """Every slider of the effect by its name, with what a browser reads."""
    tags = [found for name, found in read(html).tags if name == "input"]
    return {found["name"]: found for found in tags if found["type"] == "range" and "name" in found}


@pytest.mark.parametrize("name", EFFECTS)
def test_a_slider_moves_itself_alone_and_back(ask, checkpoint, door, name):
    """Each slider's value as the page holds it, sent as the page sends it: there, and back again."""
    place = {**make_project(ask, checkpoint, effect="own")["view"], "panel": "edit"}
    place["link"] = ask("add_effect", place, value=name)["view"]["link"]

    def look():
        project = door.wizard().workshop.desk("lines").project
        (effect,) = project.recipe.edits[0].effects
        return effect, [(step.id, step.params) for step in project.plan()]

    before, known = look(), EFFECTS[name]
    drawn = sliders(ask("go", place)["html"]["panel"])
    for key, found in drawn.items():
        grid = (float(found["value"]) - float(found["min"])) / float(found["step"])
        assert grid == pytest.approx(round(grid), abs=1e-9), "a browser would round it"
        for value in (found["max"], found["value"]):
            assert ask("set_effect", place, values={key: value})["notice"] is None
            others = {
                k: f["value"] for k, f in sliders(ask("go", place)["html"]["panel"]).items() if k != key
            }
            assert others == {k: f["value"] for k, f in drawn.items() if k != key}
        assert look() == before
    assert {key.removeprefix("param."): float(found["value"]) for key, found in drawn.items()} == {
        "strength": 1.0,
        **{key: value for key, value in known.values({}).items() if key != "seed"},
    }


def test_a_value_between_a_sliders_points_is_drawn_and_kept(ask, view, recipe, door):
    door.wizard().workshop.desk("lines").project.set({"edits.outline.effects": "outline:width=4.9137"})
    place = {**view, "panel": "edit"}
    assert sliders(ask("go", place)["html"]["panel"])["param.width"]["value"] == "4.9137"
    ask("set_effect", place, values={"strength": "1.3"})
    assert recipe().edits[0].effects == (Effect("outline", 1.3, (("width", 4.9137),)),)


def test_two_sliders_of_one_effect_moved_at_once_are_both_kept(door, view, recipe):
    """Each request was drawn from the same chain; neither takes the other back."""
    from concurrent.futures import ThreadPoolExecutor

    wanted = {"strength": "1.5", "param.width": "9", "param.darkness": "0.5", "param.sensitivity": "0.2"}

    def move(item):
        request = {"act": "set_effect", "view": {**view, "panel": "edit"}, "values": dict([item])}
        return json.loads(door.answer(json.dumps(request)))["notice"]

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(move, wanted.items())) == {None}
    params = (("darkness", 0.5), ("sensitivity", 0.2), ("width", 9.0))
    assert recipe().edits[0].effects == (Effect("outline", 1.5, params),)
