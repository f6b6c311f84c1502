"""The plan: what of a recipe and of its checkpoint decides each step."""

from __future__ import annotations

import shutil
from pathlib import Path

from lib_copier.engines.locate import demo_checkpoint
from lib_copier.steps.plan import plan


def test_what_the_checkpoint_predicts_is_part_of_every_step_that_runs_it(recipe, tmp_path: Path) -> None:
    checkpoint = Path(shutil.copy(demo_checkpoint(), tmp_path / "any.safetensors"))
    settings = {"project__checkpoint": str(checkpoint), "copier_model__as_file": True}
    before = plan(recipe(**settings))
    checkpoint.with_suffix(".yaml").write_text("    parameterization: v\n")
    after = plan(recipe(**settings))
    changed = {step.id for step in after if dict(step.params) != dict(before.step(step.id).params)}
    assert changed == {
        "origin/one",
        "copier/one",
        "copier_model/one",
        "check/one",
        "survival/one/outline",
        "edit_lora/one/outline",
        "calibrate/outline",
        "sweep/outline",
    }
    assert dict(after.step("copier/one").params)["prediction"] == "v_prediction"
    told = plan(recipe(**settings, project__prediction="epsilon"))
    assert dict(told.step("copier/one").params)["prediction"] == "epsilon"
