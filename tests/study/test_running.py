"""A study's run: what is shared is made once, and every variant is what it would be alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from lib_copier.engines.locate import root
from lib_copier.errors import CancelledError, ChildError, GoalError
from lib_copier.files.lock import HeldError
from lib_copier.graph.lock import held
from lib_copier.graph.running import DISCARD
from lib_copier.steps.project import Project
from lib_copier.study.running import run
from lib_copier.study.score import BROKEN, MEASURED, MISSED, PRUNED
from lib_copier.study.study import Study
from tests.steps.looks import wait_for


def files(asked: Study) -> dict[str, dict]:
    return {key: dict(manifest["files"]) for key, manifest in asked.store.manifests()}


def test_what_variants_share_is_made_once_and_all_are_what_a_project_makes(study, tmp_path):
    asked = study(origins__one__seed=[1, 2], edits__outline__effects__strength=[0.5, 1])
    outcomes = run(asked)
    assert {outcome.state for outcome in outcomes.values()} == {MEASURED}
    kinds = [key.split("-")[0] for key in files(asked)]
    assert (kinds.count("origin"), kinds.count("copier"), kinds.count("edit_lora")) == (2, 2, 4)
    variant = asked.variants[2]
    alone = Project.create(tmp_path / variant.name, asked.recipe(variant))
    alone.run(["sweep/outline"])
    made = files(alone)
    assert len(made) == 10 and made == {key: files(asked)[key] for key in made}
    assert asked.recorded() == outcomes == asked.known()
    before = files(asked)
    run(asked)
    assert files(asked) == before


def test_a_study_that_prunes_learns_no_edit_of_what_it_dropped(study, monkeypatch):
    monkeypatch.setenv("STAND_IN_VARY", "1")
    axes = {"origins__one__seed": [1, 2, 3, 4], "copier__rank": [4, 8]}
    asked = study("pruned", reduction=2, **axes)
    outcomes = run(asked)
    states = [outcome.state for outcome in outcomes.values()]
    assert states.count(PRUNED) >= 4 and states.count(MEASURED) >= 1
    kinds = [key.split("-")[0] for key in files(asked)]
    assert kinds.count("copier") == 8 > kinds.count("edit_lora")
    assert asked.known() == outcomes, "a look comes to what the run came to"


def test_what_does_not_need_the_failed_steps_is_made_and_the_next_run_mends_them(study, monkeypatch):
    asked = study(project__method=["copier", "difference"])
    monkeypatch.setenv("STAND_IN_FAIL", "lora")
    with pytest.raises(ChildError):
        run(asked)
    states = {number: outcome.state for number, outcome in asked.recorded().items()}
    assert states == {1: BROKEN, 2: BROKEN}
    assert {"origin", "copier", "edit", "edit_lora", "edited_copier"} <= {
        key.split("-")[0] for key in files(asked)
    }
    monkeypatch.delenv("STAND_IN_FAIL")
    assert {outcome.state for outcome in run(asked).values()} == {MEASURED}


def test_a_variant_that_fails_takes_no_other_along(study, monkeypatch):
    # Of an edit LoRA that is the finished one no sum is made: the part that fails is the other method's.
    asked = study(project__method=["copier", "difference"], project__end="edit_lora", calibrate__gain=1.0)
    monkeypatch.setenv("STAND_IN_FAIL", "lora")
    outcomes = run(asked)
    assert [outcomes[number].state for number in (1, 2)] == [MEASURED, BROKEN]
    assert "svd" in outcomes[2].reason and asked.ranked(outcomes)[0].number == 1
    assert asked.recorded() == outcomes == asked.known()


def test_where_every_variant_misses_its_goal_the_run_says_so(study, monkeypatch):
    asked = study(origins__one__seed=[1, 2])
    monkeypatch.setenv("STAND_IN_MISS", "copier-check")
    with pytest.raises(GoalError, match="its worst unseen print reaches 14.2 dB"):
        run(asked)
    assert {outcome.state for outcome in asked.recorded().values()} == {MISSED}
    assert "edit_lora" not in {key.split("-")[0] for key in files(asked)}


def test_two_runs_and_a_stop(study):
    asked = study(copier__rank=[4])
    with held(asked.folders.lock, "It"), pytest.raises(HeldError):
        run(asked)
    with pytest.raises(CancelledError):
        run(asked, should_stop=lambda: DISCARD)
    assert not files(asked)


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_killed_anywhere_it_goes_on_and_comes_to_the_same(study, monkeypatch):
    axes = {"edits__outline__effects__strength": [0.5, 1]}
    whole = study("whole", **axes)
    run(whole)
    asked = study("killed", **axes)
    monkeypatch.setenv("STAND_IN_TICK", "0.05")
    moments, kills = random.Random(5), 0
    for _ in range(20):
        child = subprocess.Popen(
            [sys.executable, "-m", "lib_copier.study", str(asked.folder)],
            cwd=root(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda child=child: child.poll() is not None or asked.running())
        time.sleep(moments.uniform(0, 0.5))
        child.send_signal(signal.SIGKILL)
        kills += child.wait() == -signal.SIGKILL
        if kills == 3 or child.returncode == 0:
            break
    assert kills
    run(asked)
    assert files(asked) == files(whole)
