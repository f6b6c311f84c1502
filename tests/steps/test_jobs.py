"""A project's runs as jobs, with real workers: they wait, fail, are stopped, and outlive their worker."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from lib_copier.errors import InputError
from lib_copier.graph.lock import holder
from lib_copier.graph.queue import Queue
from tests.steps.looks import state, wait_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")


def test_jobs_run_one_after_the_other_and_tell_their_end(queue, project) -> None:
    first, second = project("first"), project("second")
    jobs = [queue.submit(str(p.folder), p.name, p.run_arguments(["copier/one"])) for p in (first, second)]
    again = queue.submit(str(second.folder), "second", second.run_arguments(["copier/one"]))
    assert again.id == jobs[1].id, "two clicks, one job"
    wait_for(lambda: all(state(queue, job) == "done" for job in jobs))
    ended = [queue.job(job.id) for job in jobs]
    assert ended[0].ended_at <= ended[1].started_at
    assert first.step_status("copier/one").state == "done"
    third = queue.submit(str(first.folder), "first", first.run_arguments())
    assert third.id != jobs[0].id
    wait_for(lambda: state(queue, third) == "done")


def test_a_failed_job_says_why(queue, project, monkeypatch) -> None:
    monkeypatch.setenv("STAND_IN_FAIL", "generate")
    made = project()
    job = queue.submit("k", "t", made.run_arguments())
    wait_for(lambda: state(queue, job) == "failed")
    assert "out of memory" in queue.job(job.id).message
    assert queue.find("k").id == job.id


@pytest.mark.parametrize("how", ["discard", "save"])
def test_a_running_job_is_stopped_and_a_waiting_one_taken_out(queue, project, monkeypatch, how) -> None:
    monkeypatch.setenv("STAND_IN_TICK", "0.2")
    made, other = project(), project("other")
    job = queue.submit("a", "a", made.run_arguments(["copier/one"]))
    waiting = queue.submit("b", "b", other.run_arguments())
    queue.cancel(waiting.id)
    wait_for(lambda: any(event["event"] == "progress" for event in made.events()[0]))
    queue.cancel(job.id, how)
    wait_for(lambda: not queue.job(job.id).is_open)
    assert state(queue, job) == ("cancelled" if how == "discard" else "done")
    wait_for(lambda: state(queue, waiting) == "cancelled")
    assert made.running() is None
    with pytest.raises(InputError, match="no job"):
        queue.cancel("nothing")


def test_a_killed_worker_is_followed_by_another(queue, project, monkeypatch) -> None:
    monkeypatch.setenv("STAND_IN_TICK", "0.1")
    made = project()
    job = queue.submit("a", "a", made.run_arguments(["copier/one"]))
    wait_for(lambda: "copier/one" in (made.running().steps if made.running() else ()))
    worker = psutil.Process(holder(queue.worker_lock)["pid"])
    worker.send_signal(signal.SIGKILL)
    wait_for(lambda: holder(queue.worker_lock) is None)
    assert state(queue, job) == "running", "as it stands on disk"
    # Somebody opens the page again.
    Queue(queue.folder).ensure_worker()
    wait_for(lambda: state(queue, job) == "done")
    assert made.step_status("copier/one").state == "done"
