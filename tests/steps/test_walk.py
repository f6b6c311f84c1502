"""The way to an origin that was retouched by hand: seen where the project draws it, and only then."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.graph.step import Workplace
from lib_copier.recipe.model import Edit
from lib_copier.steps.plan import plan
from tests.steps.looks import command_of

FILES = (("one", "1.png"), ("two", "2.png"))


@pytest.fixture
def retouched(recipe):
    """A recipe of two origins and their retouched copies; keywords are settings of the second origin."""

    def make(**second):
        made = recipe(project__method="pairs", origins=("one", "two"), edits=())
        made = made.with_origin(made.origin("two").replaced(**second))
        return made.with_edit(Edit("mine", files=FILES))

    return make


def test_it_is_drawn_as_its_picture_was(retouched, tmp_path):
    step = plan(retouched(seed=77)).step("walk/two")
    ((path, text),) = command_of(step, tmp_path).files
    told = json.loads(text)
    (asked,) = told["requests"]
    assert (asked["prompt"], asked["seed"]) == ("a house, two", 77)
    drawn = dict(plan(retouched(seed=77)).step("origin/two").params)
    assert {name: asked[name] for name in asked.keys() & drawn.keys()} == {
        name: drawn[name] for name in asked.keys() & drawn.keys()
    }
    assert [one.rpartition("/")[2] for one in told["walks"]] == ["picture.walk"]
    assert path.name == "requests.json" and told["paths"] == [str(tmp_path / "scratch" / "again.png")]


@pytest.mark.parametrize(
    "second", [{"source": "given", "file": "b.png"}, {"steps": 5}, {"cfg_scale": 2.0}, {"clip_skip": 2}]
)
def test_without_one_way_for_all_none_is_learned_along(retouched, second, tmp_path):
    assert plan(retouched()).step("edit_lora/mine").follows.count("walk/one") == 1
    steps = plan(retouched(**second))
    assert not [step for step in steps if step.kind == "walk"]
    walks = [given.step for given in steps.step("edit_lora/mine").inputs if given.role == "walk"]
    assert set(walks) == {"pictures"}


def test_a_way_is_learned_with_its_own_prompt_whatever_the_caption_is(retouched):
    step = plan(retouched(caption_source="none")).step("edit_lora/mine")
    drawn = dict(step.params)["captions"]
    assert drawn[-2:] == ["a house, one", "a house, two"]
    assert not [given for given in step.inputs if given.role == "caption"]
    elsewhere = plan(retouched(source="given", file="b.png")).step("edit_lora/mine")
    assert len(dict(elsewhere.params)["captions"]) == len(drawn) - 2
    assert len([given for given in elsewhere.inputs if given.role == "caption"]) == 2


def test_a_whole_run_learns_retouching_along_the_ways(project, tmp_path):
    run = project(project__method="pairs", origins=("one", "two"), edits=())
    for name, colour in (("one", "red"), ("two", "blue")):
        Image.new("RGB", (512, 512), colour).save(tmp_path / f"{name}.png")
    run.set(
        {"edits.mine": True} | {f"edits.mine.files.{n}": str(tmp_path / f"{n}.png") for n in ("one", "two")}
    )
    run.run(("edit_lora/mine",))
    assert run.file("edit_lora/mine") is not None


def test_another_picture_is_not_learned_along(retouched, tmp_path):
    step = plan(retouched()).step("walk/one")
    (tmp_path / "scratch").mkdir()
    given = [(one, tmp_path / f"{one.role}.png") for one in step.inputs]
    place = Workplace(step, tmp_path, tmp_path / "out", tmp_path / "scratch", tuple(given))
    grey = Image.fromarray(np.full((16, 16, 3), 100, np.uint8))
    grey.save(tmp_path / "origin.png")
    # Levels that rounding moves are no other picture.
    Image.fromarray(np.full((16, 16, 3), 102, np.uint8)).save(tmp_path / "scratch" / "again.png")
    assert step.finish is not None
    step.finish(place, {})
    Image.fromarray(np.full((16, 16, 3), 140, np.uint8)).save(tmp_path / "scratch" / "again.png")
    with pytest.raises(InputError, match="one does not come out again"):
        step.finish(place, {})
