"""Method C's pictures: drawn as the origin is, of prompts that no slider is judged by."""

from __future__ import annotations

import json

from lib_copier.steps.pictures import drawn_pairs, names
from lib_copier.steps.plan import plan
from lib_copier.steps.prompts import CALIBRATION_PROMPTS, PROMPTS
from tests.steps.looks import command_of, others


def test_they_are_there_in_method_c_alone_and_only_for_effects(recipe):
    assert "pictures" in plan(recipe(project__method="pairs"))
    assert "pictures" not in plan(recipe())
    by_hand = recipe(project__method="pairs", origins=("one", "two"), edits=())
    assert "pictures" not in plan(by_hand)


def test_every_one_has_its_seed_and_none_a_prompt_of_calibration_or_sweep(recipe):
    made = recipe(project__method="pairs", pictures__pairs=40, pictures__seed=7)
    found = drawn_pairs(made)
    assert [seed for _, seed in found] == list(range(7, 47)) and len(names(made)) == 40
    prompts = [prompt for prompt, _ in found]
    assert prompts[0] == "a house, one" and len(set(prompts)) == 40
    assert not {*PROMPTS, *CALIBRATION_PROMPTS} & set(prompts)


def test_typed_prompts_are_taken_as_they_are_but_for_those_held_out(recipe):
    typed = ("a dog, grass", PROMPTS[0], "a cat, snow")
    made = recipe(project__method="pairs", pictures__pairs=3, pictures__prompts=typed)
    assert [prompt for prompt, _ in drawn_pairs(made)] == ["a dog, grass", "a cat, snow", "a dog, grass"]


def test_where_all_are_held_out_that_is_a_fault(project):
    found = project(project__method="pairs", pictures__prompts=PROMPTS[:2]).faults()
    assert [one for one in found if "pictures.prompts are all among" in one]


def test_they_are_drawn_in_one_go_with_the_origins_settings(recipe, tmp_path):
    made = recipe(project__method="pairs", pictures__pairs=2)
    (origin,) = made.origins
    made = made.with_origin(origin.replaced(cfg_scale=5.0, width=128, height=64))
    ((path, text),) = command_of(plan(made).step("pictures"), tmp_path).files
    asked = json.loads(text)
    assert path.name == "requests.json" and len(asked["requests"]) == 2
    assert [one["seed"] for one in asked["requests"]] == [9000, 9001]
    first = asked["requests"][0]
    assert (first["cfg_scale"], first["width"], first["height"]) == (5.0, 128, 64)
    assert [name.rpartition("/")[2] for name in asked["paths"]] == ["00.png", "01.png"]
    assert [name.rpartition("/")[2] for name in asked["walks"]] == ["00.walk", "01.walk"]


def test_another_edit_leaves_them_as_they_are(recipe):
    first, second = (recipe(project__method="pairs", edits=edits) for edits in (("outline",), ("flat",)))
    assert "pictures" not in others(plan(first), plan(second))
