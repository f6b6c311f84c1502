"""The bar and the rail: what they say of a project whose steps stand one way or another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lib_copier.graph.status import StepStatus, judged
from lib_copier.graph.store import Artifact
from lib_copier.measure.rule import Rule
from lib_copier.ui.desk import Desk
from lib_copier.ui.texts import LANGUAGES, Texts
from lib_copier.ui.view import PANELS
from tests.ui.leaks import leaks
from tests.ui.page_reader import read

GOOD = {
    "check": {"psnr_db": {"median": 26.0, "min": 25.0, "ceiling": 29.0}},
    "survival": {"share": 0.9},
    "sweep": {"strength": 0.9, "rank_correlation": 1.0, "leak": 0.0},
}
POOR = {
    "check": ("psnr_db", {"median": 30.0, "min": 14.23, "ceiling": 29.0}),
    "survival": ("share", 0.04),
    "sweep": ("strength", 0.0),
}


@pytest.fixture
def stand(monkeypatch):
    """Put the steps of every project into a state, with these reports by kind."""

    def put(state="done", **reports):
        found = {**GOOD, **reports}

        def status(step):
            made = Artifact("key", Path(), {"result": found.get(step.kind, {}), "files": {}})
            return (
                judged(StepStatus(step, state, artifact=made)) if state == "done" else StepStatus(step, state)
            )

        states = property(lambda desk: {step.id: status(step) for step in desk.project.plan()})
        monkeypatch.setattr(Desk, "states", states)
        monkeypatch.setattr(Desk, "report", lambda desk, step_id: found.get(step_id.partition("/")[0], {}))

    return put


@pytest.fixture(params=LANGUAGES)
def words(request, door):
    """The page's words, in each language."""
    door._wizard = replace(door.wizard(), texts=Texts(request.param))
    return door.wizard().texts


REASONS = {
    "stale": ("copier.rank changed 32 → 64", "edit.chain changed", "waits for edit_lora/first/outline"),
    "failed": ("Step sweep/outline ended, but result.json was not made.",),
    "done": ("one pair: the edit LoRA as it is",),
    "missing": ("not made yet",),
}


@pytest.mark.parametrize("state", [*REASONS, "running"])
def test_no_panel_speaks_in_ids_or_in_another_language(ask, view, door, words, monkeypatch, state):
    """Every state on every panel, with a fault beside it: words for people, in the page's language."""
    reasons = REASONS.get(state, ())
    states = property(lambda desk: {one.id: StepStatus(one, state, reasons) for one in desk.project.plan()})
    monkeypatch.setattr(Desk, "states", states)
    advice = "Look at its log for the cause."
    monkeypatch.setattr(Desk, "failure", lambda desk, step_id: {"advice": advice})
    for key, value in (("copier.timestep_min", "900"), ("copier.timestep_max", "800")):
        ask("set", view, key=key, target="recipe", value=value)
    queue = door.wizard().workshop.queue
    queue.submit(str(view), "lines", ("-c", ""), needs_gpu=False)
    queue.changed(queue.jobs()[0], state="failed", message="Out of memory.")
    for panel in PANELS:
        answer = ask("run_all", {**view, "panel": panel})
        shown = ask("go", {**view, "panel": panel})["html"]
        assert not leaks("".join(shown.values()), words.language), panel
        assert not leaks(str(answer["notice"] or ""), words.language)


def test_method_c_has_no_copier_to_look_at_and_further_pictures_beside_the_edit(ask, view, door, words):
    ask("set", view, key="project.method", target="recipe", value="pairs")
    html = ask("go", view)["html"]
    shown = {one.get("data-go-panel") for _, one in read(html["rail"]).tags}
    assert not {"copier", "check"} & shown and {"origin", "edit", "edit_lora"} <= shown
    for panel in ("edit", "edit_lora", "combine"):
        html = ask("go", {**view, "panel": panel})["html"]
        assert not leaks("".join(html.values()), words.language), panel
        assert (words("edit.pairs.says") in "".join(html.values())) is (panel == "edit")


@pytest.mark.parametrize("share", [0.97, 0.1])
def test_a_rule_of_retouching_is_told_with_what_it_goes_by(ask, view, words, monkeypatch, share):
    told = Rule(("colour", "surroundings"), 64, share, {}).told()
    others = Desk.result
    monkeypatch.setattr(
        Desk, "result", lambda desk, step: told if step == "rule/outline" else others(desk, step)
    )
    panel = ask("go", {**view, "panel": "edit"})["html"]["panel"]
    assert words("edit.rule") in panel and f"{share:.0%}" in panel
    assert (words("cue.surroundings") in panel) is (share > 0.9)
    assert not leaks(panel, words.language)


def item(html, panel):
    """The rail's entry of a panel: its class, and the text of all of them."""
    reader = read(html["rail"])
    (found,) = [one for _, one in reader.tags if one.get("data-go-panel") == panel]
    return found["class"], reader.text


def test_all_is_done_where_all_is_done(ask, view, stand, words):
    stand()
    html = ask("go", view)["html"]
    assert words("run.all_done") in html["bar"]
    assert "cl-is-done" in item(html, "check")[0]


@pytest.mark.parametrize(
    ("panel", "kind", "reached"),
    [("check", "check", "14.2"), ("edit", "survival", "4%"), ("preview", "sweep", "0.00")],
)
def test_what_was_not_reached_has_no_tick_and_is_never_all_done(
    ask, view, stand, words, panel, kind, reached
):
    key, value = POOR[kind]
    stand(**{kind: {**GOOD[kind], key: value}})
    html = ask("go", {**view, "panel": panel})["html"]
    css, text = item(html, panel)
    assert "cl-is-missed" in css and reached in text
    bar = read(html["bar"])
    assert words("run.all_done") not in bar.text and reached in bar.text
    assert [one["data-go-panel"] for _, one in bar.tags if "data-go-panel" in one] == [panel]
    head = html["panel"].partition("</h2>")[2].partition("</div>")[0]
    assert words("state.missed") in head and "✓" not in head
    assert words(f"missed.{kind}") in html["panel"] and words("way.accept") in html["panel"]


@pytest.mark.parametrize(
    ("panel", "kind", "address"),
    [
        ("check", "check", "origins.first.accept_copier"),
        ("edit", "survival", "edits.outline.edit.accept_faint"),
        ("preview", "sweep", "edits.outline.sweep.accept"),
    ],
)
def test_what_is_accepted_has_no_tick_either_and_can_be_taken_back(
    ask, view, door, stand, words, panel, kind, address
):
    key, value = POOR[kind]
    stand(**{kind: {**GOOD[kind], key: value}})
    door.wizard().workshop.desk("lines").project.set({address: True})
    html = ask("go", {**view, "panel": panel})["html"]
    css, text = item(html, panel)
    assert "cl-is-accepted" in css and words("state.accepted") in text
    assert words("run.all_done") in html["bar"] and words("way.accept") not in html["panel"]
    assert (
        f'data-set="{".".join(address.split(".")[-2:]) if "edits" in address else "origin.accept_copier"}"'
        in html["panel"]
    )


@pytest.mark.parametrize("lowest", [14.23, 25.0])
def test_a_result_out_of_date_is_no_complete_copier(ask, view, door, stand, monkeypatch, words, lowest):
    """What it lacked is said still, and where it lacked nothing, nothing is: a run has to tell."""
    stand("stale")
    psnr = {"median": 30.0, "min": lowest, "ceiling": 29.0}
    made = Artifact("key", Path(), {"result": {"psnr_db": psnr}, "files": {}})
    monkeypatch.setattr(Desk, "artifact", lambda desk, step_id: made)
    monkeypatch.setattr(Desk, "report", lambda desk, step_id: {"psnr_db": psnr})
    html = ask("go", {**view, "panel": "check"})["html"]["panel"]
    assert words("check.good") not in html
    assert ("14.2 dB, " in html or "14.2 dB（" in html) == (lowest < 20)
    assert ("cl-poor" in html) == (lowest < 20)


def test_what_is_held_back_shows_the_way_to_what_was_missed(ask, view, miss, words):
    miss("check/first", psnr_db={"min": 9.0, "ceiling": 30.0})
    html = ask("go", {**view, "panel": "edit_lora"})["html"]
    assert "cl-is-held" in item(html, "edit_lora")[0]
    assert words.said("check/first missed its goal") in html["panel"]
    assert 'data-act="run"' not in html["panel"]
    assert [one for _, one in read(html["panel"]).tags if one.get("data-go-panel") == "check"]


def test_one_picture_is_no_praise(ask, view, stand, words):
    one = {**GOOD["sweep"], "pictures": [["a.png"]]}
    # On enough pictures: strength, following, and the one word for all numbers.
    for pictures, praised in ((1, 1), (8, 3)):
        stand(sweep={**one, "pictures": one["pictures"] * pictures})
        html = ask("go", {**view, "panel": "preview"})["html"]["panel"]
        assert html.count("cl-good") == praised + 1
        assert (words("preview.too_few", found="1") in html) == (pictures == 1)
        assert (words("preview.score") in html) == (pictures > 1)


def test_running_all_says_before_that_it_publishes(ask, view, stand, words):
    stand("missing")
    assert words("run.publishes") not in ask("go", view)["html"]["bar"]
    ask("set", view, key="publish.folder", target="lora_folder", value=True)
    assert words("run.publishes") in ask("go", view)["html"]["bar"]


def test_a_job_that_failed_before_any_step_is_told(ask, view, door, stand):
    stand("missing")
    ask("run_all", view)
    queue = door.wizard().workshop.queue
    (job,) = queue.jobs()
    queue.changed(job, state="failed", message="The disk is full.")
    bar = read(ask("poll", view)["html"]["bar"])
    assert "The disk is full." in bar.text
    assert any("cl-fault" in str(found.get("class")) for _, found in bar.tags)


def test_a_stopped_run_shows_its_own_numbers_beside_the_old_ones(ask, view, door, stand, monkeypatch, words):
    stand("stale")
    folder = door.wizard().workshop.desk("lines").project.folder
    (folder / "log").mkdir()

    def run(name, losses, *end):
        step = {"id": "copier/first", "total": 9}
        events = [{"event": "step_started", "id": "copier/first", "key": name}]
        events += [{**step, "event": "progress", "step": at, "loss": loss} for at, loss in losses]
        text = "".join(json.dumps(event) + "\n" for event in (*events, *end))
        (folder / "log" / f"{name}.jsonl").write_text(text)

    done = {"event": "step_done", "id": "copier/first", "key": "1-old"}
    run("1-old", [(at, 0.1) for at in range(1, 10)], done)
    run("2-new", [(1, 0.9), (2, 0.8), (3, 0.7)])
    made = Artifact("1-old", folder, {"files": {}, "seconds": 61, "result": {"steps": 9}})
    monkeypatch.setattr(Desk, "artifact", lambda desk, step_id: made if step_id == "copier/first" else None)
    html = ask("go", {**view, "panel": "copier"})["html"]["panel"]
    stopped, _, result = html.partition(words("run.stopped"))[2].partition(words("result"))
    assert words("run.count", step=3, total=9) in stopped and "0.7" in stopped
    assert "<dd>9</dd>" in result and words("run.count", step=3, total=9) not in result
    assert stopped.count("cl-mean") == result.count("cl-mean") == 1
