"""A training as a step: one step for all, a state to go on from, and no optimiser that is not listed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lib_copier.errors import FaultsError
from lib_copier.recipe.document import read_document, shareable
from lib_copier.steps.project import Project
from lib_copier.steps.publish import RECIPE_KEY

HOSTILE = {"optimizer": "transformers.pipeline", "optimizer_args": ["task=x", "trust_remote_code=True"]}


def _kept(made: Project) -> list[Path]:
    return sorted((made.folder / "work").glob("state-*/state.pt"))


def _has_trained(made: Project) -> bool:
    """Whether the last run did steps of a training: the stand-in does six, whatever is asked for."""
    events, _ = made.events()
    return any(event["event"] == "progress" for event in events)


def test_a_longer_copier_goes_on_from_the_shorter_one(project):
    made = project(copier__lr_scheduler="constant")
    made.run(["copier/one"])
    assert _has_trained(made) and len(_kept(made)) == 1
    made.lay_out("copier/one")
    assert len(_kept(made)) == 1, "a command laid out takes no state"
    made.set({"copier.steps": 4000, "copier.copied_psnr": 30.0})
    made.run(["copier/one"])
    assert not _has_trained(made) and len(_kept(made)) == 1


@pytest.mark.parametrize("change", [{"copier.learning_rate": 2e-4}, {"copier.rank": 8}])
def test_with_other_settings_it_starts_over(project, change):
    made = project(copier__lr_scheduler="constant")
    made.run(["copier/one"])
    made.set(change)
    made.run(["copier/one"])
    assert _has_trained(made) and len(_kept(made)) == 2
    assert {path.parent for path in _kept(made)} <= set(made.unused()), "prune removes them"


def test_a_falling_rate_leaves_no_state(project):
    made = project(copier__lr_scheduler="cosine")
    made.run(["copier/one"])
    assert _kept(made) == []


def test_a_lora_s_recipe_brings_no_optimiser_of_its_own(project, tmp_path):
    document = shareable(project().recipe)
    document["copier"] |= HOSTILE
    lora = tmp_path / "slider.safetensors"
    save_file({"x": np.zeros(1, np.float32)}, lora, {RECIPE_KEY: json.dumps(document)})
    with pytest.raises(FaultsError, match="copier.optimizer is one of adamw.*not 'transformers.pipeline'"):
        Project.from_lora(tmp_path / "again", lora)
    assert not (tmp_path / "again").exists()


def test_a_recipe_s_optimiser_and_arguments_are_listed_ones(project):
    made = project()
    document = shareable(made.recipe)
    document["edit_lora"] |= HOSTILE
    _, faults = read_document(document)
    assert "edit_lora.optimizer is one of adamw" in faults[0]
    # Arguments belong to an optimiser: they are judged with it, before anything starts.
    made.set({"copier.optimizer_args": ("trust_remote_code=True",)})
    assert made.faults() == (
        "copier.optimizer_args: 'trust_remote_code' is no argument of adamw "
        "(it takes betas, eps, weight_decay, amsgrad)",
    )
    with pytest.raises(FaultsError, match="trust_remote_code"):
        made.run()


def test_a_warm_up_longer_than_the_training_is_no_fault(project):
    assert project(copier__steps=300, copier__warmup_steps=500).faults() == ()


def test_samples_are_asked_for_and_kept(project):
    made = project(copier__sample_every=2)
    made.run(["copier/one"])
    samples = made.file("copier/one").parent / "samples"
    assert len(list(samples.iterdir())) == 2, "of its own caption and of another prompt"
