"""Method C's way: the pairs that are judged are those that one LoRA learns, each against its origin."""

from __future__ import annotations

import json
from pathlib import Path

from lib_copier.recipe.check import faults as recipe_faults
from lib_copier.recipe.model import Edit
from lib_copier.steps.plan import plan
from tests.steps.looks import command_of, job_of


def made(recipe, **more):
    return plan(recipe(project__method="pairs", pictures__pairs=3, **more))


def test_a_whole_run_publishes_a_slider_of_the_pairs_that_were_kept(project):
    run = project(project__method="pairs", pictures__pairs=3)
    run.run()
    assert run.file("publish/outline") is not None
    assert run.step_status("pairs/outline").artifact.result["kept"] == ["00", "02"]
    before = run.file("edit_lora/outline").read_bytes()
    run.set({"pictures.pairs": 4})
    run.run()
    assert run.file("edit_lora/outline").read_bytes() != before


def test_it_needs_no_copier(recipe):
    kinds = [step.kind for step in made(recipe)]
    assert kinds == [
        *("origin", "caption", "pictures", "edit", "survival", "pairs", "edit_lora", "resize"),
        *("calibrate", "sweep", "publish"),
    ]


def test_the_edit_is_made_of_every_drawn_picture_and_of_them_alone(recipe, tmp_path):
    job = job_of(made(recipe, origins=("one", "two")).step("pairs/outline"), tmp_path)
    assert job["pictures"] == ["picture.0", "picture.1", "picture.2"]
    assert (job["origins"], job["edited"]) == ([], [])
    assert job["names"] == ["00", "01", "02"]


def test_the_training_learns_what_was_kept_each_against_its_origin_along_its_walk(recipe, tmp_path):
    step = made(recipe, edit_lora__other_prompt_share=0.5).step("edit_lora/outline")
    results = {"pairs/outline": {"kept": ["00", "02"]}}
    ((_, text),) = command_of(step, tmp_path, results).files
    job = json.loads(text)
    found = [[Path(one[key]).name for key in ("path", "origin", "walk")] for one in job["pictures"]]
    assert found == [["picture.0", "origin.0", "walk.0"], ["picture.2", "origin.2", "walk.2"]]
    assert job["pictures"][0]["caption"] == "a house, one"
    assert job["opposite"] is True and job["other_prompts"] == [""] and job["base_loras"] == []


def test_retouching_by_hand_is_learned_from_the_origins_alone(recipe, tmp_path):
    files = (("one", "1.png"), ("two", "2.png"))
    base = recipe(project__method="pairs", origins=("one", "two"), edits=())
    steps = plan(base.with_edit(Edit("mine", files=files)))
    assert "pictures" not in steps and "walk/one" in steps and "walk/two" in steps
    job = job_of(steps.step("pairs/mine"), tmp_path)
    assert job["pictures"] == [] and job["names"] == ["one", "two"]
    results = {"pairs/mine": {"kept": ["one", "two"]}}
    ((_, text),) = command_of(steps.step("edit_lora/mine"), tmp_path, results).files
    learned = json.loads(text)["pictures"]
    assert [one["caption"] for one in learned] == ["a house, one", "a house, two"]
    assert [Path(one["walk"]).name for one in learned] == ["walk.0", "walk.1"]


def test_it_waits_until_the_vae_is_known_to_keep_the_edit(recipe):
    assert made(recipe).step("edit_lora/outline").waits_for == ("survival/one/outline",)


def test_what_method_c_cannot_do_is_a_fault(project, recipe):
    alone = recipe(project__method="pairs", edits=()).with_edit(Edit("mine", files=(("one", "1.png"),)))
    faults = project(project__method="pairs", edit_lora__engine="sd-scripts").faults()
    assert [one for one in faults if "sd-scripts learns no pairs" in one]
    assert [
        one
        for one in recipe_faults(alone, project("x").folder)
        if "method pairs learns retouching from 2" in one
    ]
