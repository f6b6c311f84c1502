"""Finding a good origin: a search among the jobs, its pictures by their scores, one click takes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.steps.project import Project
from lib_copier.study.running import run
from lib_copier.study.study import Study
from tests.steps.conftest import stand_in  # noqa: F401 - every child is played

FORM = {"prompts": "a red circle\n a blue circle \n\n", "seeds": "2"}


@pytest.fixture
def at(view) -> dict:
    return {**view, "panel": "origin"}


@pytest.fixture
def folder(host) -> Path:
    return host.data_dir() / "projects" / "lines"


def test_a_search_is_a_job_that_can_be_stopped(ask, at, door, folder) -> None:
    assert "Find me a good origin" in ask("go", at)["html"]["panel"]
    answer = ask("scout", at, values=FORM)
    assert answer["notice"] is None and answer["active"]
    (job,) = door.wizard().workshop.queue.jobs()
    assert job.argv[:2] == ("-m", "lib_copier.study") and job.title == "lines: good origins"
    study = Study.open(folder / "work" / "scout")
    assert [one.choices[0].name for one in study.variants] == [
        "a red circle 1", "a red circle 2", "a blue circle 1", "a blue circle 2"
    ]  # fmt: skip
    assert "under way already" in ask("scout", at, values=FORM)["notice"]["text"]
    assert 'data-act="stop_scout"' in ask("go", at)["html"]["panel"]
    assert ask("stop_scout", at)["notice"]["kind"] == "ok"


def test_the_best_stands_first_and_a_click_takes_it_with_its_picture(ask, at, folder, monkeypatch) -> None:
    monkeypatch.setenv("STAND_IN_VARY", "1")
    ask("scout", at, values=FORM)
    study = Study.open(folder / "work" / "scout")
    outcomes = run(study)
    ranked = study.ranked(outcomes)
    panel = ask("go", at)["html"]["panel"]
    places = [panel.index(f'data-number="{one.number}"') for one in ranked]
    assert places == sorted(places) and panel.count('data-then="run"') == 1
    assert "data:" not in panel and "work/scout/artifacts/" in panel
    best = ranked[0]
    answer = ask("take_origin", at, number=str(best.number))
    assert answer["notice"]["text"] == "It is the origin now."
    project = Project.open(folder)
    (origin,) = project.recipe.origins
    assert f"{origin.get('prompt')} {origin.get('seed')}" == best.choices[0].name
    assert project.step_status(f"origin/{origin.name}").state == "done", "its picture came along"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"prompts": "", "seeds": "4"},
        {"prompts": "a", "seeds": "1"},
        {"prompts": "a", "seeds": "x"},
        {"prompts": "a\nb", "seeds": "13"},
        {"prompts": "a", "seeds": "9" * 9},
    ],
)
def test_what_cannot_be_searched_is_said_and_nothing_is_made(ask, at, folder, values) -> None:
    answer = ask("scout", at, values=values)
    assert answer["notice"]["kind"] == "error"
    assert not (folder / "work" / "scout").exists()


def test_a_recipe_that_cannot_be_run_is_told_before_the_search(ask, at, checkpoint) -> None:
    checkpoint.unlink()
    assert "does not exist" in ask("scout", at, values=FORM)["notice"]["text"]


@pytest.mark.parametrize("number", ["7", "x", "1" * 20, None])
def test_a_picture_that_is_not_there_cannot_be_taken(ask, at, number) -> None:
    ask("scout", at, values=FORM)
    assert ask("take_origin", at, number=number)["notice"]["kind"] == "error"
