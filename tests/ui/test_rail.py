"""The bar and the rail: what they say of a project whose steps stand one way or another."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lib_copier.graph.status import StepStatus
from lib_copier.graph.store import Artifact
from lib_copier.ui.desk import Desk
from lib_copier.ui.texts import LANGUAGES, Texts
from tests.ui.page_reader import read

GOOD = {"check": {"psnr_db": {"median": 26.0}}, "sweep": {"strength": 0.9, "rank_correlation": 1.0}}


@pytest.fixture
def stand(monkeypatch):
    """Put the steps of every project into a state, with these reports by kind."""

    def put(state="done", **reports):
        found = {**GOOD, **reports}
        states = property(lambda desk: {one.id: StepStatus(one, state) for one in desk.project.plan()})
        monkeypatch.setattr(Desk, "states", states)
        monkeypatch.setattr(Desk, "report", lambda desk, step_id: found.get(step_id.partition("/")[0], {}))

    return put


@pytest.fixture(params=LANGUAGES)
def words(request, door):
    """The page's words, in each language."""
    door._wizard = replace(door.wizard(), texts=Texts(request.param))
    return door.wizard().texts


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
    ("panel", "reports", "reached"),
    [
        ("check", {"check": {"psnr_db": {"median": 14.23}}}, "14.2"),
        ("preview", {"sweep": {"strength": 0.0, "rank_correlation": 1.0, "pictures": [["a.png"]]}}, "0.00"),
    ],
)
def test_what_was_not_reached_has_no_tick_and_is_never_all_done(
    ask, view, stand, words, panel, reports, reached
):
    stand(**reports)
    html = ask("go", {**view, "panel": panel})["html"]
    css, text = item(html, panel)
    assert "cl-is-short" in css and reached in text
    bar = read(html["bar"])
    assert words("run.all_done") not in bar.text and reached in bar.text
    assert [one["data-go-panel"] for _, one in bar.tags if "data-go-panel" in one] == [panel]
    head = html["panel"].partition("</h2>")[2].partition("</div>")[0]
    assert words("state.short") in head and "✓" not in head
    assert "cl-good" not in html["panel"]


def test_one_picture_is_no_praise(ask, view, stand, words):
    one = {"strength": 0.9, "rank_correlation": 1.0, "pictures": [["a.png"]]}
    for pictures, praised in ((1, 1), (8, 2)):
        stand(sweep={**one, "pictures": one["pictures"] * pictures})
        html = ask("go", {**view, "panel": "preview"})["html"]["panel"]
        assert html.count("cl-good") == praised
        assert (words("preview.too_few", found="1") in html) == (pictures == 1)


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
