"""What tests look at in a project: its steps' states, and the finished file."""

from __future__ import annotations

import time
from collections.abc import Callable

from lib_copier.graph.queue import Job, Queue
from lib_copier.steps.project import Project


def states(project: Project) -> dict[str, str]:
    return {status.id: status.state for status in project.status()}


def published(project: Project, edit: str = "outline") -> bytes:
    path = project.file(f"publish/{edit}")
    assert path is not None
    return path.read_bytes()


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def state(queue: Queue, job: Job) -> str:
    found = queue.job(job.id)
    assert found is not None
    return found.state
