"""The pictures that check and sweep judge by: the same words for both, each in its own group of settings."""

from __future__ import annotations

from lib_copier.recipe.model import Edit, settings_of
from lib_copier.steps.judging import judging_params
from lib_copier.steps.parts import checkpoint_model
from lib_copier.steps.plan import plan
from lib_copier.txt2img.pictures import SETTINGS
from tests.steps.looks import job_of


def test_every_setting_of_a_picture_but_its_own_is_in_the_key(recipe):
    made = recipe(sweep__cfg_scale=3.0)
    params = dict(judging_params(made, "sweep", checkpoint_model(made)))
    own = {"prompt", "seed", "width", "height"}
    assert set(params) == (set(SETTINGS) - own) | {"prediction", "pairs"}
    assert params["cfg_scale"] == 3.0 and len(params["pairs"]) == 8


def test_an_edit_may_have_pictures_of_its_own(recipe):
    own = Edit("own", settings=settings_of({"sweep.prompts": ("a cat", "a dog"), "sweep.pairs": 3}))
    made = recipe(sweep__seed=1)
    pairs = dict(judging_params(made, "sweep", checkpoint_model(made), own))["pairs"]
    assert pairs == [("a cat", 1), ("a dog", 2), ("a cat", 3)]
    assert len(dict(judging_params(made, "check", checkpoint_model(made)))["pairs"]) == 4


def test_a_prompt_s_loras_are_named_by_their_files(recipe, tmp_path):
    # Its input lies at prompt_lora.0 here, and a prompt names a file by its stem.
    step = plan(
        recipe(
            check__prompts=("a <lora:prompt_lora:0.5:-1>", "b"),
            check__pairs=2,
            check__seed=1,
            project__loras=("in/prompt_lora.safetensors",),
        )
    ).step("check/one")
    lora = {"path": "prompt_lora.0", "weight": -1.0, "te_weight": 0.5}
    assert job_of(step, tmp_path)["prompts"] == [
        {"prompt": "a", "seed": 1, "loras": [lora]},
        {"prompt": "b", "seed": 2},
    ]


def test_pictures_may_have_a_size_of_their_own(recipe, tmp_path):
    def sampling(**settings):
        return job_of(plan(recipe(**settings)).step("sweep/outline"), tmp_path)["sampling"]

    assert "width" not in sampling() and "width" not in sampling(sweep__width=320)
    sized = sampling(sweep__width=320, sweep__height=256)
    assert (sized["width"], sized["height"]) == (320, 256)
