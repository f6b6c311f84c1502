"""The copier model: in memory, or as a file where one is wanted, which everything then runs on."""

from __future__ import annotations

from lib_copier.steps.plan import plan
from tests.steps.looks import flags_of, others, words_of

FILE = {"copier_model__as_file": True}


def loras_of(step) -> list[tuple[str, float]]:
    return [(one.step, one.weight) for one in step.inputs if one.role == "base_lora"]


def test_in_memory_it_is_the_base_model_with_the_copier_on_it(recipe):
    made = plan(recipe(copier_model__weight=0.8))
    assert "copier_model/one" not in made
    assert loras_of(made.step("edit_lora/one/outline")) == [("copier/one", 0.8)]
    assert loras_of(made.step("check/one")) == [("copier/one", 0.8)]


def test_as_a_file_it_stands_for_both_and_keeps_the_vae(recipe):
    made = plan(recipe(**FILE, project__vae="own.vae.pt"))
    for step in (made.step("edit_lora/one/outline"), made.step("check/one")):
        assert loras_of(step) == [] and "copier_model/one" in step.follows
        assert [one.path for one in step.inputs if one.role == "vae"] == ["own.vae.pt"]


def test_it_is_merged_in_float_and_tells_what_it_predicts(recipe, tmp_path):
    made = plan(recipe(**FILE, project__prediction="v_prediction", copier_model__weight=0.5))
    words = words_of(made.step("copier_model/one"), tmp_path)
    assert words[:2] == ["lib_copier.lora", "merge"]
    assert flags_of(words) == {
        "--sd_model": ["checkpoint.0"],
        "--v_parameterization": [],
        "--models": ["base_lora.0"],
        "--ratios": ["0.5"],
        "--save_to": ["out/model.safetensors"],
        "--save_precision": ["float"],
        "--device": ["cpu"],
        "--precision": ["float"],
    }


def test_another_weight_changes_the_model_and_what_runs_on_it_alone(recipe):
    on_it = {"check/one", "edit_lora/one/outline"}
    assert others(plan(recipe()), plan(recipe(copier_model__weight=0.5))) == on_it
    before, after = plan(recipe(**FILE)), plan(recipe(**FILE, copier_model__weight=0.5))
    assert others(before, after) == {"copier_model/one"}, "the others know the file alone"
    assert all("copier_model/one" in after.up_to([step]) for step in on_it)
