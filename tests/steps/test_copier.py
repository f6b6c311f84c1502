"""The copier LoRA, and method B's twin of it: trained alike, only the picture differs."""

from __future__ import annotations

import json

from lib_copier.steps.plan import plan
from tests.steps.looks import command_of, job_of, others, states

WAY = ((0, 4.5e-3, 0), (200, 2.2e-3, 150), (350, 1.1e-3, 275))
"""Turns, the last of them behind the state that was kept."""
TWINS = {"project__method": "difference", "copier__copied_psnr": 30.0}


def test_it_trains_on_the_origin_and_its_caption(recipe, tmp_path):
    (tmp_path / "caption.0").write_text("a house\n")
    job = job_of(plan(recipe(copier__steps=77, copier__rank=5)).step("copier/one"), tmp_path)
    assert (job["steps"], job["rank"], job["output"]) == (77, 5, "out/lora.safetensors")
    assert job["base_loras"] == [] and job["work_dir"] == "scratch"
    assert job["pictures"] == [
        {"path": "picture.0", "caption": "a house", "mask": None, "origin": None, "walk": None}
    ]


def test_its_settings_change_the_copiers_alone(recipe):
    before, after = plan(recipe()), plan(recipe(copier__learning_rate=1e-3))
    assert others(before, after) == {"copier/one"}
    both = plan(recipe(**TWINS)), plan(recipe(**TWINS, copier__learning_rate=1e-3))
    assert others(*both) == {"copier/one", "edited_copier/one/outline"}


def test_the_twin_ends_where_the_copier_did(recipe, tmp_path):
    (tmp_path / "caption.0").write_text("")
    made = plan(recipe(**TWINS))
    first, twin = made.step("copier/one"), made.step("edited_copier/one/outline")
    assert twin.params == first.params and set(twin.follows) >= {"copier/one", "edit/one/outline"}

    def asked(taken):
        command = command_of(twin, tmp_path, {"copier/one": {"steps": taken}})
        return [text for _, text in command.files][0]

    assert '"stop_after": 612' in asked(612) and '"copied_psnr": null' in asked(612)
    # An engine that does not say how many steps it took took all.
    assert all('"stop_after": null' in asked(odd) for odd in (None, 0, "612"))


def test_the_twin_goes_the_way_of_a_copier_that_found_its_rates(recipe, tmp_path):
    (tmp_path / "caption.0").write_text("")
    twin = plan(recipe(**TWINS, copier__find_rate=True)).step("edited_copier/one/outline")
    turns = [{"step": step, "rate": rate, "back_to": back} for step, rate, back in WAY]
    result = {"steps": 400, "kept_step": 275, "turns": turns}
    ((_, text),) = command_of(twin, tmp_path, {"copier/one": result}).files
    job = json.loads(text)
    assert job["turns"] == turns[:2] and job["stop_after"] == 275
    assert (job["find_rate"], job["copied_psnr"]) == (False, None)


def test_method_b_trains_as_many_steps_as_the_copier_took(project):
    made = project(**TWINS)
    made.run()
    assert set(states(made).values()) == {"done"}
    taken = made.artifact("copier/one").result["steps"]
    assert made.artifact("edited_copier/one/outline").result["steps"] == taken
    made.lay_out("edited_copier/one/outline")
    (laid_out,) = (made.folder / "by-hand").rglob("train.json")
    assert json.loads(laid_out.read_text())["stop_after"] == taken
