"""No step builds on a failed one: what each missed goal holds back, and every way on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lib_copier.app import project as commands
from lib_copier.edge import guard
from lib_copier.errors import GoalError
from lib_copier.graph.store import Store
from lib_copier.model_file.checkpoint import CheckpointFacts
from lib_copier.model_file.families import SD1
from lib_copier.recipe.model import Origin, settings_of
from lib_copier.settings.goals import CopierGoal, SliderGoal, SurvivalGoal
from lib_copier.steps import remedies
from lib_copier.steps.plan import plan
from lib_copier.steps.project import Project
from lib_copier.ui.texts import Texts
from tests.steps.looks import states

ROOT = Path(__file__).resolve().parents[2]
HOLDS = {
    "copier-check": ("check/one", {"edit_lora/one/outline", "control_lora/outline"}),
    "vae-survival": ("survival/one/outline", {"edit_lora/one/outline", "control_lora/outline"}),
    "sweep": ("sweep/outline", {"publish/outline"}),
}
"""By the job that measures: the step that misses its goal, and those that wait for it."""


def made_kinds(project) -> set[str]:
    return {str(manifest["kind"]) for _key, manifest in project.store.manifests()}


@pytest.mark.parametrize("job", HOLDS)
@pytest.mark.parametrize("method", ["copier", "difference"])
def test_a_missed_goal_holds_back_what_would_be_spent_on_it(project, monkeypatch, tmp_path, job, method):
    monkeypatch.setenv("STAND_IN_MISS", job)
    out = tmp_path / "loras"
    made = project(project__method=method, sweep__control=job != "sweep", publish__folder=str(out))
    judge, waiting = HOLDS[job]
    with pytest.raises(GoalError) as missed:
        made.run()
    found = states(made)
    waiting = {
        one.replace("edit_lora", "edited_copier") if method == "difference" else one for one in waiting
    }
    assert found[judge] == "missed" and all(found[one] == "held" for one in waiting)
    assert found["publish/outline"] == "held" and "publish" not in made_kinds(made) and not out.exists()
    assert not {"edit_lora", "edited_copier"} & made_kinds(made) or job == "sweep"
    assert (
        judge in str(missed.value) and "wanted" in str(missed.value) and "go on anyway" in str(missed.value)
    )


@pytest.mark.parametrize("job", HOLDS)
def test_an_acceptance_lets_the_run_end_and_is_no_part_of_the_result(project, monkeypatch, job):
    monkeypatch.setenv("STAND_IN_MISS", job)
    made = project()
    with pytest.raises(GoalError):
        made.run()
    judge = HOLDS[job][0]
    (accepting,) = [
        one for one in remedies.remedies(made.recipe, made.step_status(judge)) if one.kind == "accept"
    ]
    made.set(accepting.values)
    made.run()
    status = made.step_status(judge)
    assert set(states(made).values()) == {"done"} and status.shortfalls and status.step.is_accepted
    document = made.file("publish/outline", "slider-outline.recipe.json").read_text()
    assert not any(f'"{name}": true' in document for name in ("accept_copier", "accept_faint", "accept"))


def test_it_is_accepted_by_origin_and_by_edit(project, monkeypatch):
    monkeypatch.setenv("STAND_IN_MISS", "copier-check sweep")
    made = project(origins=("one", "two"), edits=("outline", "flat"))
    made.set({"origins.one.accept_copier": "yes", "edits.flat.sweep.accept": "yes"})
    with pytest.raises(GoalError, match="check/two"):
        made.run()
    assert states(made)["edit_lora/one/outline"] == "held", "the slider needs both copiers"
    made.set({"origins.two.accept_copier": "yes"})
    with pytest.raises(GoalError, match="sweep/outline"):
        made.run()
    assert states(made)["publish/flat"] == "done" and states(made)["publish/outline"] == "held"


def test_without_a_look_nothing_holds_back_and_it_is_told(project, monkeypatch):
    monkeypatch.setenv("STAND_IN_MISS", "copier-check vae-survival sweep")
    made = project(check__enabled=False, edit__check_vae=False, sweep__enabled=False)
    made.run()
    told = {status.id: status.reasons for status in made.status()}
    for step_id, key in (
        ("copier/one", "check.enabled"),
        ("edit/one/outline", "edit.check_vae"),
        ("publish/outline", "sweep.enabled"),
    ):
        assert told[step_id] == (f"nothing holds it back: {key} is off",)


def test_training_on_makes_the_copier_and_its_check_anew(project, monkeypatch):
    monkeypatch.setenv("STAND_IN_MISS", "copier-check")
    made = project()
    with pytest.raises(GoalError):
        made.run()
    longer, *_ = remedies.remedies(made.recipe, made.step_status("check/one"))
    made.set(longer.values)
    assert made.recipe.whole("copier.steps") == 4608 and states(made)["copier/one"] == "stale"
    monkeypatch.delenv("STAND_IN_MISS")
    made.run()
    assert set(states(made).values()) == {"done"}


KILLED = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from lib_copier.edge import guard
from lib_copier.steps.project import Project
sys.exit(guard(lambda words: bool(Project.open(Path(words[0])).run()) and 0, sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_killed_at_any_moment_it_spends_nothing_on_a_failed_copier(project, monkeypatch):
    monkeypatch.setenv("STAND_IN_MISS", "copier-check")
    monkeypatch.setenv("STAND_IN_TICK", "0.05")
    made, moments = project(), random.Random(5)
    start = [sys.executable, "-c", KILLED.format(root=str(ROOT)), str(made.folder)]
    for _ in range(8):
        runner = subprocess.Popen(start, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.3, 1.6))
        runner.send_signal(signal.SIGKILL)
        runner.wait(20)
    ended = subprocess.run(start, capture_output=True, text=True, check=False)
    assert ended.returncode == 4 and ended.stderr.count("\n") == 1 and "check/one missed" in ended.stderr
    assert not {"edit_lora", "publish"} & {str(found["kind"]) for _, found in Store(made.folder).manifests()}


def suggestions(recipe_of, **settings):
    """The remedies of every kind of missed goal, for one recipe."""
    made = recipe_of(**settings)
    steps = [step for step in plan(made) if step.goal]
    results = {
        "check": {"psnr_db": {"min": 9.0, "ceiling": 30.0}},
        "survival": {"share": 0.0},
        "sweep": {"rank_correlation": 0.2, "strength": 0.1, "leak": 0.9},
    }
    for step in steps:
        artifact = remedies_artifact(results[step.kind])
        yield from remedies.remedies(made, remedies_status(step, artifact))


def remedies_artifact(result):
    from lib_copier.graph.store import Artifact

    return Artifact("key", Path("artifacts"), {"result": result})


def remedies_status(step, artifact):
    from lib_copier.graph.status import MISSED, StepStatus

    return StepStatus(step, MISSED, artifact=artifact, shortfalls=step.goal(artifact.result))


def test_effects_under_retouched_copies_are_no_way_on(recipe):
    edit = replace(recipe().edit("outline"), files=(("one", "one.png"),))
    for made, is_by_effect in ((recipe(), True), (recipe().with_edit(edit), False)):
        (step,) = [step for step in plan(made) if step.kind == "survival"]
        missed = remedies_status(step, remedies_artifact({"share": 0.0}))
        addresses = {key for way in remedies.remedies(made, missed) for key in way.values}
        assert ("edits.outline.effects" in addresses) is is_by_effect


FOUND = {"copier__find_rate": True, "edit_lora__find_rate": True}
SETTINGS = (
    {},
    {"copier__rank": 1},
    {**FOUND, "copier__other_prompt_share": 0.6, "edit_lora__other_prompt_share": 0.5},
    {**FOUND, "edit_lora__other_prompt_share": 0.95},
    {**FOUND, "edit_lora__other_prompt_share": 0.95, "edit_lora__against_origin": True},
    {**FOUND, "edit_lora__other_prompt_share": 0.95, "edit_lora__against_origin": True, "edit_lora__rank": 8},
    {"project__method": "difference"},
    {"project__method": "pairs"},
    {"project__method": "pairs", "pictures__pairs": 48, "edit_lora__rank": 8},
)


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_way_on_can_be_taken_and_is_said_in_both_languages(recipe, tmp_path, settings):
    words = Texts("ja")
    for number, remedy in enumerate(suggestions(recipe, **settings)):
        assert not remedy.reason or words.said(remedy.reason) != remedy.reason
        if remedy.values:
            project = Project.create(tmp_path / str(number), recipe(**settings))
            before = project.recipe
            assert project.set(remedy.values).recipe != before
            typed = remedy.text().partition("(")[2] if remedy.kind != "change" else remedy.text()[7:]
            given = dict(word.partition("=")[::2] for word in typed.rstrip(")").split(" ") if "=" in word)
            again = Project.create(tmp_path / f"{number}-typed", recipe(**settings)).set(given)
            assert again.recipe.with_settings({"project.name": "a"}) == project.recipe.with_settings(
                {"project.name": "a"}
            )


def test_where_karras_wastes_the_steps_of_method_c_another_sampler_is_offered(recipe, monkeypatch):
    made = recipe(project__method="pairs", sweep__sampler="DPM++ 2M Karras")
    origin = Origin("one", settings_of({"prompt": "a house", "sampler": "DPM++ 2M Karras"}))
    made = replace(made, origins=(origin,))

    def changes():
        return [one.values for one in suggestions(lambda: made) if one.kind == "change"]

    facts = CheckpointFacts(SD1, 512, 320, "v_prediction", True, True, True)
    monkeypatch.setattr(remedies, "known_facts", lambda checkpoint: facts)
    assert {"edits.outline.sweep.sampler": "Euler", "origins.one.sampler": "Euler"} in changes()
    monkeypatch.setattr(remedies, "known_facts", lambda checkpoint: replace(facts, zero_terminal_snr=False))
    assert not any("sampler" in key for values in changes() for key in values)


def test_every_shortfall_is_said_in_both_languages():
    words = Texts("ja")
    lacking = [
        *CopierGoal()({"psnr_db": {"min": 9.0, "ceiling": 30.0}}),
        *CopierGoal()({}),
        *SurvivalGoal()({"share": 0.0}),
        *SliderGoal()({"rank_correlation": -0.2, "strength": 0.1, "leak": 0.9}),
    ]
    assert len(lacking) == 6
    for phrase in (*lacking, "check/one missed its goal", "nothing holds it back: check.enabled is off"):
        assert words.said(phrase) != phrase
    assert "accepted" not in words.said(f"accepted although {lacking[0]}")
    assert "dB wanted" not in words.said(f"accepted although {lacking[0]}")


def test_who_waits_for_json_is_told_of_a_missed_goal(project, monkeypatch, capsys):
    monkeypatch.setenv("STAND_IN_MISS", "copier-check")
    made = project()
    for verb in (("run", str(made.folder)), ("rerun", str(made.folder), "check/one")):
        assert guard(commands.main, [*verb, "--json"], answers_json=True) == 4
        told = json.loads(capsys.readouterr().out)["error"]
        assert "check/one missed its goal" in told["what"] and "go on anyway" in told["advice"]
