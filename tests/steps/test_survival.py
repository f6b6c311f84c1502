"""How much of an edit the VAE keeps: the model's VAE alone, no LoRA."""

from __future__ import annotations

from lib_copier.settings.goals import SurvivalGoal
from lib_copier.steps.plan import plan
from tests.steps.looks import job_of, others


def test_it_compares_the_two_pictures_through_the_vae(recipe, tmp_path):
    made = recipe(project__vae="own.vae.pt", base__loras=("style.safetensors:0.5",), project__device="cpu")
    step = plan(made).step("survival/one/outline")
    assert job_of(step, tmp_path) == {
        "job": "vae-survival",
        "checkpoint": "checkpoint.0",
        "vae": "vae.0",
        "prediction": "auto",
        "base_loras": [],
        "device": "cpu",
        "origin": "origin.0",
        "edited": "edited.0",
        "output": "out",
    }
    assert step.follows == ("origin/one", "edit/one/outline")
    assert step.goal == SurvivalGoal() and not step.is_accepted


def test_a_lora_on_the_model_leaves_it_and_the_vae_does_not(recipe):
    before = plan(recipe())
    assert "survival/one/outline" not in others(before, plan(recipe(base__loras=("a.safetensors:1",))))
    assert "survival/one/outline" in others(before, plan(recipe(project__vae="own.vae.pt")))
    assert "survival/one/outline" not in plan(recipe(edit__check_vae=False))
