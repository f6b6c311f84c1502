"""Jobs are listed and stopped from a command line, whatever became of the page that began them."""

from __future__ import annotations

import json
import signal

import pytest

from lib_copier.app import jobs as command
from lib_copier.edge import guard
from lib_copier.graph.queue import DONE, RUNNING, Queue
from lib_copier.graph.running import wanted_stop
from lib_copier.ui.ending import left_running, tell_at_interrupt


@pytest.fixture
def queue(tmp_path, monkeypatch) -> Queue:
    """Nobody works on it."""
    monkeypatch.setattr(Queue, "ensure_worker", lambda queue: None)
    return Queue(tmp_path / "queue")


@pytest.fixture
def run(capsys, tmp_path):
    def call(*words: str) -> tuple[int, str, str]:
        code = guard(command.main, [*words, "--projects", str(tmp_path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_what_waits_and_runs_is_listed(queue, run):
    assert run() == (0, "Nothing waits or runs.\n", "")
    ended = queue.submit("a", "old", ())
    queue.changed(ended, state=DONE)
    job = queue.submit("/projects/lines", "lines", ())
    code, out, _ = run()
    assert code == 0 and out.startswith(f"{job.id}  queued") and "lines" in out and "old" not in out
    (told,) = json.loads(run("--json")[1])["jobs"]
    assert (told["id"], told["title"], told["state"]) == (job.id, "lines", "queued")
    assert told["project"] == "/projects/lines" and told["steps"] == []
    assert len(json.loads(run("--json", "--all")[1])["jobs"]) == 2


@pytest.mark.parametrize("how", ["discard", "save"])
def test_a_running_job_is_asked_to_stop_and_what_stays_is_said(queue, run, how):
    job = queue.changed(queue.submit("a", "lines", ()), state=RUNNING)
    code, out, _ = run("stop", job.id[-6:], *(["--save"] if how == "save" else []))
    assert code == 0 and "Finished steps stay" in out
    assert wanted_stop(queue.control(job.id)) == how


def test_one_that_waits_is_taken_out(queue, run):
    job = queue.submit("a", "lines", ())
    assert "had not begun" in run("stop", job.id)[1]
    assert json.loads(run("stop", job.id, "--json")[1]) == {"stopped": job.id}


def test_an_unknown_or_ended_job_is_bad_input(queue, run):
    job = queue.changed(queue.submit("a", "lines", ()), state=DONE)
    for given in (job.id, "nothing"):
        code, _, err = run("stop", given)
        assert code == 2 and "no open job" in err


def test_inside_a_webui_its_queue_is_looked_at_too(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "root", lambda: tmp_path / "webui" / "extensions" / "copier")
    own, webuis = command._data_folders()
    assert own == tmp_path / "webui" / "extensions" / "copier" / "projects"
    assert webuis == tmp_path / "webui" / "copier-lora"


def test_what_goes_on_is_said_at_the_end_and_by_whom_it_is_stopped(queue, tmp_path):
    assert left_running(tmp_path) == ""
    queue.submit("a", "lines", ())
    told = left_running(tmp_path)
    assert "lines goes on" in told and "jobs stop ID" in told


def test_ctrl_c_says_it_and_then_does_what_it_did(queue, tmp_path, capsys):
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        for _ in range(2):  # a page that is built anew
            tell_at_interrupt(tmp_path)
        queue.submit("a", "lines", ())
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
    assert capsys.readouterr().out.count("lines goes on") == 1
