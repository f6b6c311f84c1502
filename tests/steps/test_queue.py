"""The queue with real worker processes: jobs outlive whoever submitted them, and their own worker."""

from __future__ import annotations

import json
import os

import pytest

from lib_copier.graph.queue import Job
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
