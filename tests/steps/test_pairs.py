"""Method C's way: the pairs that are judged are those that one LoRA learns, each against its origin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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


@pytest.fixture
def by_hand(recipe):
    """(settings) → a recipe of two origins retouched by hand."""

    def make(*, elsewhere=False, origins=("one", "two"), **settings):
        base = recipe(project__method="pairs", pictures__pairs=3, origins=origins, edits=(), **settings)
        if elsewhere:
            base = base.with_origin(base.origin(origins[1]).replaced(source="given", file="b.png"))
        return base.with_edit(Edit("mine", files=tuple((name, f"{name}.png") for name in origins)))

    return make


def learned_of(made, tmp_path, kept):
    """What the training of the retouching learns: captions, and the files of its walks."""
    results = {"pairs/mine": {"kept": kept}}
    ((_, text),) = command_of(plan(made).step("edit_lora/mine"), tmp_path, results).files
    job = json.loads(text)
    walks = [Path(one["walk"]).name if one.get("walk") else None for one in job["pictures"]]
    return [one["caption"] for one in job["pictures"]], walks, job["learning_rate"]


def test_without_a_rule_to_seek_retouching_is_learned_from_the_origins_alone(by_hand, tmp_path):
    made = by_hand(edit__find_rule=False)
    steps = plan(made)
    assert "pictures" not in steps and "walk/one" in steps and "walk/two" in steps
    job = job_of(steps.step("pairs/mine"), tmp_path)
    assert job["pictures"] == [] and job["names"] == ["one", "two"] and "rule" not in job
    captions, walks, _ = learned_of(made, tmp_path, ["one", "two"])
    assert captions == ["a house, one", "a house, two"] and walks == ["walk.0", "walk.1"]


def test_where_a_rule_is_sought_further_pictures_stand_beside_the_origins(by_hand, tmp_path):
    made = by_hand()
    job = job_of(plan(made).step("pairs/mine"), tmp_path)
    assert job["pictures"] == ["picture.0", "picture.1", "picture.2"]
    assert job["names"] == ["00", "01", "02", "one", "two"]
    assert (job["origins"], job["edited"]) == (["origin.0", "origin.1"], ["edited.0", "edited.1"])
    assert job["rule"] == "rule.0" and job["chain"] == [] and job["apart"] is False
    captions, walks, _ = learned_of(made, tmp_path, ["00", "02", "one", "two"])
    assert captions[2:] == ["a house, one", "a house, two"] and len(captions) == 4
    assert walks == ["walk.0", "walk.2", "walk.3", "walk.4"]
    # None was found: the drawn ones are not kept.
    captions, walks, _ = learned_of(made, tmp_path, ["one", "two"])
    assert captions == ["a house, one", "a house, two"] and walks == ["walk.3", "walk.4"]


def test_pictures_from_elsewhere_are_learned_plainly_or_left_to_their_rule(by_hand, tmp_path):
    made = by_hand(elsewhere=True, edit_lora__learning_rate=1e-4)
    for number in range(2):
        (tmp_path / f"caption.{number}").write_text("its own caption")
    job = job_of(plan(made).step("pairs/mine"), tmp_path)
    assert job["apart"] is True
    captions, walks, rate = learned_of(made, tmp_path, ["00", "01", "02"])
    assert walks == ["walk.0", "walk.1", "walk.2"] and len(captions) == 3
    assert rate == 1e-4
    captions, walks, rate = learned_of(made, tmp_path, ["one", "two"])
    assert walks == [None, None] and captions == ["its own caption"] * 2
    assert rate == pytest.approx(5e-4)


def test_an_origin_that_is_called_as_a_drawn_picture_is_another_pair(by_hand, tmp_path):
    job = job_of(plan(by_hand(origins=("one", "01"))).step("pairs/mine"), tmp_path)
    assert job["names"] == ["00", "01", "02", "one", "own:01"]


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
