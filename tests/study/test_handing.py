"""What a study hands over is what a project would have made."""

from __future__ import annotations

import pytest

from lib_copier.errors import GoalError, InputError
from lib_copier.model_file.header import read_header
from lib_copier.study.handing import best, publish, publish_mean, take, winner
from lib_copier.study.running import run
from tests.steps.looks import published, states


@pytest.fixture
def asked(study, monkeypatch):
    monkeypatch.setenv("STAND_IN_VARY", "1")
    made = study(copier__rank=[4, 8, 16])
    run(made)
    return made


def test_the_winner_is_published_and_taken_as_a_project(asked, tmp_path):
    first = winner(asked)
    target = tmp_path / "loras"
    target.mkdir()
    paths = publish(asked, first, target)
    assert [path.name for path in paths][0] == f"asked-{first.number}-outline.safetensors"
    project = take(asked, first, tmp_path / "mine")
    found = states(project)
    assert found.pop("publish/outline") == "done" and set(found.values()) == {"done"}
    assert published(project) == paths[0].read_bytes()
    assert project.run().made == ()


def test_the_mean_of_the_best_is_a_lora_of_its_own(asked, tmp_path):
    (tmp_path / "loras").mkdir()
    (lora, *_) = publish_mean(asked, 2, tmp_path / "loras")
    assert lora.name == "asked-mean-2-outline.safetensors"
    assert read_header(lora).tensors
    assert lora.read_bytes() != publish(asked, winner(asked), tmp_path / "loras")[0].read_bytes()
    with pytest.raises(InputError, match="3 of 3 variants of asked; 4 wanted. Publish fewer"):
        best(asked, 4)


def test_where_not_enough_is_measured_yet_the_run_goes_on(study):
    with pytest.raises(InputError, match="0 of 2 variants of asked; 1 wanted. `study run` goes on."):
        winner(study(copier__rank=[4, 8]))


def test_sliders_of_two_methods_have_no_mean(study, tmp_path):
    asked = study(project__method=["copier", "difference"])
    run(asked)
    with pytest.raises(InputError, match="differ in project.method"):
        publish_mean(asked, 2, tmp_path)


def test_a_slider_that_missed_its_goal_is_not_published(study, tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_MISS", "sweep")
    asked = study(copier__rank=[4])
    run(asked)
    with pytest.raises(GoalError, match="it follows its weight by 0.31"):
        publish(asked, winner(asked), tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        publish(asked, winner(asked), tmp_path / "none")
