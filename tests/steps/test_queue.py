"""The queue with real worker processes: jobs outlive whoever submitted them, and their own worker."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lib_copier.errors import InputError
from lib_copier.graph.lock import holder
from lib_copier.graph.queue import Job, Queue

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")


@pytest.fixture
def queue(tmp_path: Path):
    made = Queue(tmp_path / "queue")
    yield made
    for job in made.jobs():
        made.cancel(job.id)
    found = holder(made.worker_lock)
    if found:
        psutil.Process(found["pid"]).wait(30)


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def state(queue: Queue, job: Job) -> str:
    found = queue.job(job.id)
    assert found is not None
    return found.state


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


def test_junk_in_the_folder_is_passed_over(queue) -> None:
    jobs = queue.folder / "jobs"
    jobs.mkdir(parents=True)
    for number, junk in enumerate(("", "{", "[]", "{}", '{"argv": 5}')):
        (jobs / f"{number}.json").write_text(junk)
    sound = Job("6", "a", "t", ("x",)).__dict__ | {"argv": ["x"]}
    wrong = [
        ("state", ["queued"]),
        ("state", "gone"),
        ("id", "../../6"),
        ("argv", "x"),
        ("submitted_at", "1"),
    ]
    for number, (name, value) in enumerate(wrong, start=5):
        (jobs / f"{number}.json").write_text(json.dumps(sound | {"id": str(number), name: value}))
    assert queue.jobs() == () and queue.find("a") is None
    (jobs / "6.json").write_text(json.dumps(sound))
    assert [job.id for job in queue.jobs()] == ["6"]
