"""The queue's records: one job for two clicks, junk passed over, old jobs forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_copier.errors import InputError
from lib_copier.graph.queue import Job, Queue
from lib_copier.graph.running import SAVE, wanted_stop


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A queue that nobody works off."""
    monkeypatch.setattr(Queue, "ensure_worker", lambda queue: None)
    return Queue(tmp_path / "queue")


def test_a_key_gives_the_open_job_and_then_a_new_one(queue) -> None:
    job = queue.submit("a", "A", ("x",))
    assert queue.submit("a", "again", ("y",)) == job, "two clicks, one job"
    other = queue.submit("b", "B", ("x",))
    assert [one.id for one in queue.jobs()] == [job.id, other.id]
    queue.changed(job, state="done")
    new = queue.submit("a", "A", ("x",))
    assert new.id not in (job.id, other.id) and queue.find("a") == new
    queue.changed(new, state="failed", message="why")
    found = queue.find("a")
    assert found is not None and (found.id, found.message) == (new.id, "why"), "else the last that ended"


def test_only_an_open_job_is_asked_to_stop(queue) -> None:
    job = queue.submit("a", "A", ("x",))
    queue.cancel(job.id, SAVE)
    assert wanted_stop(queue.control(job.id)) == SAVE
    ended = queue.changed(queue.submit("b", "B", ("x",)), state="done")
    queue.cancel(ended.id)
    assert wanted_stop(queue.control(ended.id)) == ""
    with pytest.raises(InputError, match="no job 'gone'"):
        queue.cancel("gone")


def test_the_oldest_ended_jobs_are_forgotten_with_their_logs(queue) -> None:
    waiting = queue.submit("waiting", "t", ("x",))
    for number in range(53):
        job = queue.submit(f"{number}", "t", ("x",))
        queue.log(job.id).parent.mkdir(exist_ok=True)
        queue.log(job.id).write_text("")
        queue.changed(job, state="done")
    queue.submit("last", "t", ("x",))
    kept = queue.jobs()
    assert kept[0] == waiting and [job.key for job in kept if not job.is_open] == [*map(str, range(3, 53))]
    assert len(list((queue.folder / "log").iterdir())) == 50


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
