"""The worker takes each job to its end and writes down which; it takes none twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lib_copier.engines.locate import PYTHON_VARIABLE
from lib_copier.graph import worker
from lib_copier.graph.lock import held, identity
from lib_copier.graph.queue import Job, Queue
from lib_copier.graph.running import DISCARD, SAVE, ask_to_stop

MISSED = (
    "import json, sys; print(json.dumps({'event': 'error', 'what': 'Short by 1 dB.', 'advice': 'Type.'})); "
    "sys.exit(4)"
)
STOPPED = "import os, sys; sys.exit(130 if os.path.isfile(os.environ['COPIER_LORA_JOB_CONTROL']) else 1)"


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A queue whose worker is this process, and does not wait for more."""
    monkeypatch.setattr(worker, "LINGER_SECONDS", 0.05)
    monkeypatch.setattr(worker, "_LOOK_SECONDS", 0.01)
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)
    return Queue(tmp_path / "queue")


def add(queue: Queue, number: str, code: str, **fields: object) -> Job:
    """A job that runs some Python code."""
    job = Job(number, number, "t", ("-S", "-E", "-c", code), **fields)  # type: ignore[arg-type]
    queue.write(job)
    return job


def ended(queue: Queue) -> dict[str, tuple[str, int | None]]:
    return {job.id: (job.state, job.returncode) for job in queue.jobs()}


def test_every_job_ends_as_its_process_did(queue) -> None:
    add(queue, "1", "print('well')")
    add(queue, "2", "import sys; sys.exit('RuntimeError: CUDA out of memory. Tried to allocate 2 GiB')")
    add(queue, "3", "import sys; sys.exit(130)")
    add(queue, "4", "raise SystemExit('never run')")
    add(queue, "5", MISSED)
    ask_to_stop(queue.control("4"), DISCARD)
    worker.work(queue.folder)
    assert ended(queue) == {
        "1": ("done", 0),
        "2": ("failed", 1),
        "3": ("cancelled", 130),
        "4": ("cancelled", None),
        "5": ("failed", 4),
    }
    assert queue.job("5").message == "Short by 1 dB.", "the way on is no line to be typed here"
    assert "well" in queue.log("1").read_text() and "out of memory" in queue.job("2").message
    assert not queue.control("4").exists(), "the next job of that name is not stopped by it"
    first, second = queue.job("1"), queue.job("2")
    assert first.process["pid"] != second.process["pid"] and first.ended_at <= second.started_at


def test_a_job_is_told_where_it_is_asked_to_stop(queue) -> None:
    add(queue, "1", f"open({str(queue.control('1'))!r}, 'w').write('{{}}'); {STOPPED}")
    queue.control("1").parent.mkdir(parents=True)
    worker.work(queue.folder)
    assert ended(queue) == {"1": ("cancelled", 130)}


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_what_a_dead_worker_left_is_ended_and_done_again(queue) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as orphan:
        add(queue, "1", "pass", state="running", process=identity(orphan.pid))
        worker.work(queue.folder)
        assert not psutil.pid_exists(orphan.pid)
    assert ended(queue) == {"1": ("done", 0)}


def test_where_another_worker_is_at_it_nothing_is_done(queue) -> None:
    add(queue, "1", "pass")
    with held(queue.worker_lock, "The queue"):
        worker.work(queue.folder)
    assert ended(queue) == {"1": ("queued", None)}


def test_a_job_has_time_to_end_by_itself(tmp_path) -> None:
    control = tmp_path / "control.json"
    patient, at_once = worker._Patience(control), worker._Patience(control, seconds=-1)
    assert patient() == at_once() == ""
    ask_to_stop(control, SAVE)
    assert patient() == at_once() == "", "it saves, however long that takes"
    ask_to_stop(control, DISCARD)
    assert patient() == "" and at_once() == DISCARD
