"""The preview: every weight asked for with 0 among them, on the base model or on another."""

from __future__ import annotations

import shutil
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lib_copier.engines.locate import demo_checkpoint
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps.plan import plan
from lib_copier.steps.sweep import weights
from tests.steps.looks import job_of, others

EDIT = Edit("outline")


@given(st.floats(-4, 0), st.floats(0, 4), st.floats(0.05, 2))
def test_weights_rise_by_equal_steps_through_0_within_their_range(low, high, step):
    values = {"sweep.weight_min": low, "sweep.weight_max": high, "sweep.weight_step": step}
    found = weights(Recipe().with_settings(values), EDIT)
    assert 0.0 in found and found == sorted(set(found))
    assert low - 1e-3 <= found[0] and found[-1] <= high + 1e-3
    assert all(abs(b - a - step) < 2e-4 for a, b in zip(found, found[1:], strict=False))
    assert high - found[-1] < step + 1e-3 and found[0] - low < step + 1e-3


def test_the_default_range():
    assert weights(Recipe(), EDIT) == [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]


def test_its_job_names_the_slider_the_effects_and_every_pair_of_pictures(recipe, tmp_path):
    step = plan(recipe(origins=("one", "two"), sweep__pairs=1)).step("sweep/outline")
    job = job_of(step, tmp_path)
    assert job["job"] == "sweep" and job["lora"] == "lora.0" and job["base_loras"] == []
    assert job["chain"] == [{"name": "outline", "strength": 1.0, "params": {}}]
    assert job["pairs"] == [
        {"origin": "origin.0", "edited": "edited.0"},
        {"origin": "origin.1", "edited": "edited.1"},
    ]
    assert len(job["prompts"]) == 1 and job["plain"] == [] and job["output"] == "out"


def test_its_settings_make_it_alone_anew(recipe):
    for name, value in (("pairs", 3), ("weight_max", 1.0), ("seed", 5)):
        assert others(plan(recipe()), plan(recipe(**{f"sweep__{name}": value}))) == {"sweep/outline"}
    # The gain is found on pictures that are sampled as these are.
    both = {"sweep/outline", "calibrate/outline"}
    assert others(plan(recipe()), plan(recipe(sweep__clip_skip=2))) == both
    assert "sweep/outline" not in plan(recipe(sweep__enabled=False))


def test_another_checkpoint_to_try_on_speaks_for_itself(recipe, tmp_path: Path) -> None:
    other = Path(shutil.copy(demo_checkpoint(), tmp_path / "other.safetensors"))
    other.with_suffix(".yaml").write_text("    parameterization: v\n")
    found = plan(recipe(sweep__checkpoint=str(other), project__prediction="epsilon"))
    step = found.step("sweep/outline")
    assert dict(step.params)["prediction"] == "v_prediction"
    assert [one.path for one in step.inputs if one.role == "checkpoint"] == [str(other)]
    assert dict(found.step("copier/one").params)["prediction"] == "epsilon"
