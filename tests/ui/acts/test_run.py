"""What is asked to run from the page: one job, of the right steps, and the ways on from a missed goal."""

from __future__ import annotations

import pytest

from tests.ui.conftest import jobs


def test_a_command_is_laid_out_only_for_a_known_step(ask, view):
    answer = ask("by_hand", {**view, "panel": "copier"}, step="../../etc")
    assert answer["notice"]["kind"] == "error" and "no such step" in answer["notice"]["text"]
    answer = ask("by_hand", {**view, "panel": "copier"}, step="copier/first")
    assert "not known yet" in answer["notice"]["text"], "its origin is not made"


def test_two_clicks_on_run_are_one_job(ask, door, view):
    for _ in range(2):
        ask("run", {**view, "panel": "copier"})
    assert len(jobs(door)) == 1
    assert jobs(door)[0].argv[-2:] == ("--until", "copier/first")
    ask("cancel_job", view, job=jobs(door)[0].id)
    assert door.wizard().workshop.queue.control(jobs(door)[0].id).exists()


def test_an_incomplete_project_says_what_is_missing(ask, door, view):
    ask("remove_edit", view)
    answer = ask("run_all", view)
    assert "no edit" in answer["notice"]["text"]
    assert jobs(door) == ()


def test_a_panel_runs_all_its_steps_of_the_shown_origin(ask, door, view):
    second = ask("add_origin", {**view, "panel": "origin"})["view"]
    ask("run", second)
    assert jobs(door)[0].argv[-4:] == ("--until", "origin/origin-2", "--until", "caption/origin-2")
    assert ask("run", {**view, "panel": "jobs"})["notice"]["kind"] == "error"


def test_running_again_forces_the_panels_steps(ask, door, view):
    ask("rerun", {**view, "panel": "check"})
    assert jobs(door)[0].argv[-4:] == ("--until", "check/first", "--force", "check/first")


@pytest.mark.parametrize(
    ("way", "key", "until"),
    [("longer", "copier.steps", True), ("change", "copier.rank", True), ("accept", "", False)],
)
def test_each_way_on_from_a_missed_goal_is_remembered_and_runs(
    ask, view, recipe, door, miss, way, key, until
):
    ask("set", view, key="copier.rank", target="recipe", value="2")
    miss("check/first", psnr_db={"min": 9.0, "ceiling": 30.0})
    before = recipe()
    answer = ask("go_on", {**view, "panel": "check"}, step="check/first", way=way)
    assert answer["notice"]["kind"] == "ok"
    assert recipe().origins[0].get("accept_copier") is (way == "accept")
    if key:
        assert recipe().number(key) > before.number(key)
    assert (jobs(door)[0].argv[-2:] == ("--until", "check/first")) is until


@pytest.mark.parametrize(
    ("step", "way"), [("check/first", "longer"), ("copier/first", "accept"), ("../x", "accept"), ("", "")]
)
def test_there_is_no_way_on_where_nothing_is_missed(ask, view, recipe, door, step, way):
    before = recipe()
    answer = ask("go_on", view, step=step, way=way)
    assert answer["notice"]["kind"] == "error" and recipe() == before and jobs(door) == ()
