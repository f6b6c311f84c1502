"""Stopping says what it does and what stays, and the page shows it until it is done."""

from __future__ import annotations

import html
import time

import pytest

from lib_copier.graph.queue import RUNNING, Queue
from lib_copier.graph.running import RunningNote, wanted_stop
from lib_copier.ui.texts import LANGUAGES, Texts


@pytest.fixture
def under_way(ask, view, door):
    """The copier trains, as the disk tells it."""
    ask("run_all", view)
    queue = door.wizard().workshop.queue
    job = queue.changed(queue.jobs()[0], state=RUNNING)
    desk = door.wizard().workshop.desk("lines")
    note = RunningNote(desk._folders.running, "run")
    note.begin("copier/first", "copier-key")
    return queue, job, desk


def test_what_waits_is_taken_out_of_the_queue(ask, view, door):
    ask("run_all", view)
    assert ask("stop", view, how="discard")["notice"]["text"] == Texts("en")("said.unqueued", title="lines")
    (job,) = door.wizard().workshop.queue.jobs()
    assert wanted_stop(door.wizard().workshop.queue.control(job.id)) == "discard"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("how", ["save", "discard"])
def test_stopping_is_said_and_shown_until_it_is_done(ask, view, door, under_way, monkeypatch, how, language):
    _, job, desk = under_way
    words, place = Texts(language), {**view, "panel": "copier"}
    monkeypatch.setattr(door, "texts", words)
    monkeypatch.setattr(door, "_wizard", None)
    assert 'data-how="save"' in ask("go", place)["html"]["panel"]
    answer = ask("stop", place, how=how)
    assert answer["notice"]["text"] == words(f"run.stopping_{how}")
    for region in ("bar", "panel"):
        assert words(f"run.stopping_{how}") in html.unescape(answer["html"][region])
    panel = answer["html"]["panel"]
    assert ('data-how="discard"' in panel) == (how == "save"), "a saving one can still be stopped at once"
    assert 'data-how="save"' not in panel
    if how == "save":
        answer = ask("stop", place, how="discard")
        assert words("run.stopping_discard") in html.unescape(answer["html"]["bar"]), "the last word counts"
    door.wizard().workshop.queue.changed(job, state="cancelled")
    desk._folders.running.unlink()
    assert "stopping" not in ask("go", place)["html"]["bar"].lower()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_job_whose_worker_is_gone_is_not_said_to_run(ask, view, door, monkeypatch, language):
    """Killed, or unable to begin: the page says so, and one button goes on."""
    words, place = Texts(language), {**view, "panel": "jobs"}
    monkeypatch.setattr(door, "texts", words)
    monkeypatch.setattr(door, "_wizard", None)
    ask("run_all", view)
    queue = door.wizard().workshop.queue
    job = queue.changed(queue.jobs()[0], state=RUNNING, started_at=time.time())
    assert "resume_jobs" not in ask("go", place)["html"]["panel"], "it may be on its way"
    queue.changed(job, submitted_at=1.0, started_at=2.0)
    shown = ask("go", place)["html"]
    for region in ("bar", "panel"):
        assert words("job.left_says") in shown[region] and 'data-act="resume_jobs"' in shown[region]
    assert words("job.left") in shown["rail"] and words("job.running") not in shown["panel"]
    resumed = []
    monkeypatch.setattr(Queue, "ensure_worker", lambda queue: resumed.append(queue))
    assert ask("resume_jobs", place)["notice"]["text"] == words("said.resumed")
    assert resumed
