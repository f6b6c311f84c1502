"""Jobs on disk, one at a time per device: they outlive the page, the server and their own worker.

A queue is a folder: ``jobs/ID.json`` (one file a job), ``control/ID.json`` (asks it to stop),
``log/ID.log``, ``worker.lock`` and ``gate`` (keeps jobs back, see `Gate`). The worker is a process of
its own, detached from whoever started it; when it dies, the next `ensure_worker` starts another, which
finds the jobs as they are on disk.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, Protocol
from uuid import uuid4

from lib_copier.border.child import start_options
from lib_copier.engines.locate import child_environment, python, root
from lib_copier.errors import InputError
from lib_copier.files.disk import found_object, has_types, write_json
from lib_copier.files.lock import locked
from lib_copier.graph.gate import Gate
from lib_copier.graph.lock import holder
from lib_copier.graph.running import DISCARD, ask_to_stop, withdraw

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
_STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELLED)
_KEPT_ENDED = 50
_START_SECONDS = 15.0
"""A worker that was started has the queue by then, on a slow disk too."""
_TIME = (int, float, NoneType)
_KINDS: Mapping[str, Any] = {
    **dict.fromkeys(("id", "key", "title", "state", "message"), str),
    **dict.fromkeys(("submitted_at", "started_at", "ended_at"), _TIME),
    **{"argv": list, "returncode": (int, NoneType), "process": (dict, NoneType)},
    "needs_gpu": bool,
}
"""What the entries of a job's file are."""


@dataclass(frozen=True)
class Job:
    """One command to run, and what became of it.

    Parameters
    ----------
    key:
        Names the work: submitting a key that is queued or running already gives that job back.
    state:
        ``queued``, ``running``, ``done``, ``failed`` or ``cancelled``.
    process:
        Number and start time of the process that does it, once it runs.
    needs_gpu:
        Whether it waits until the program around us has freed its GPU.
    """

    id: str
    key: str
    title: str
    argv: tuple[str, ...]
    state: str = QUEUED
    submitted_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    returncode: int | None = None
    message: str = ""
    process: Mapping[str, Any] | None = None
    needs_gpu: bool = True

    @property
    def is_open(self) -> bool:
        """Queued or running."""
        return self.state in {QUEUED, RUNNING}


class GpuOwner(Protocol):
    """Who has the GPU while no job runs."""

    def clear_for(self, queue: Queue) -> None:
        """Close the queue's gate until its jobs can have the GPU; called under its lock, returns at once."""
        ...


class Queue:
    """The jobs of one device. Every call reads the disk: any number of processes may look on."""

    def __init__(self, folder: Path, owner: GpuOwner | None = None) -> None:
        self.folder = folder
        self.gate = Gate(folder / "gate")
        self._owner = owner

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The queue's lock: a job is added or begun, and the gate moved, by one process at a time."""
        with locked(self.folder / "submit.lock"):
            yield

    def submit(self, key: str, title: str, argv: Sequence[str], *, needs_gpu: bool = True) -> Job:
        """Add a job and see to it that a worker runs; two clicks on Run give one job.

        `argv` are arguments for this package's Python: ``("-m", "lib_copier.steps", …)``.
        """
        with self.changing():
            for job in self.jobs():
                if job.key == key and job.is_open:
                    break
            else:
                number = f"{time.time_ns():020d}-{uuid4().hex[:6]}"
                now = time.time()
                job = Job(number, key, title, tuple(argv), submitted_at=now, needs_gpu=needs_gpu)
                if needs_gpu:
                    self._clear_gpu()
                self.write(job)
            self._forget_old()
        self.ensure_worker()
        return job

    def resume(self) -> None:
        """Go on with what a restart left open."""
        with self.changing():
            if self.needs_gpu():
                self._clear_gpu()
        self.ensure_worker()

    def begin(self, job: Job) -> Job | None:
        """The job as running; None where the gate keeps it back."""
        # The lock is for the moment that counts; a look that finds the gate closed needs none.
        if job.needs_gpu and self.gate.is_closed:
            return None
        with self.changing():
            if job.needs_gpu and self.gate.is_closed:
                return None
            return self.changed(job, state=RUNNING, started_at=time.time())

    def needs_gpu(self) -> bool:
        """Whether any open job does."""
        return any(job.is_open and job.needs_gpu for job in self.jobs())

    def jobs(self) -> tuple[Job, ...]:
        """All jobs, the oldest first."""
        found = (self._read(path) for path in sorted((self.folder / "jobs").glob("*.json")))
        return tuple(job for job in found if job is not None)

    def job(self, job_id: str) -> Job | None:
        """The job of that id."""
        return next((job for job in self.jobs() if job.id == job_id), None)

    def is_left(self, job: Job) -> bool:
        """Whether an open job has no worker that gets to it: that died, or could not begin."""
        since = time.time() - max(job.submitted_at, job.started_at or 0.0)
        return job.is_open and since > _START_SECONDS and not holder(self.worker_lock)

    def find(self, key: str) -> Job | None:
        """The open job of that key, else the last one that ended."""
        found = [job for job in self.jobs() if job.key == key]
        return next((job for job in found if job.is_open), found[-1] if found else None)

    def cancel(self, job_id: str, how: str = DISCARD) -> None:
        """Take a queued job out, or ask a running one to stop (``save``: after saving its LoRA).

        Raises
        ------
        InputError
            Where there is no such job.
        """
        job = self.job(job_id)
        if job is None:
            raise InputError(f"There is no job {job_id!r}.", "Look at the list of jobs.")
        if job.is_open:
            ask_to_stop(self.control(job_id), how)

    def control(self, job_id: str) -> Path:
        """The file that asks the job to stop."""
        return self.folder / "control" / f"{job_id}.json"

    def log(self, job_id: str) -> Path:
        """What the job's process wrote."""
        return self.folder / "log" / f"{job_id}.log"

    @property
    def worker_lock(self) -> Path:
        """Held by the worker as long as it lives."""
        return self.folder / "worker.lock"

    def ensure_worker(self) -> None:
        """Start the worker, detached, where none runs and jobs wait."""
        if holder(self.worker_lock) or not any(job.is_open for job in self.jobs()):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "worker.log").open("ab") as log:
            subprocess.Popen(
                [str(python()), "-m", "lib_copier.graph", str(self.folder)],
                cwd=root(),
                env={**os.environ, **dict(child_environment())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **start_options(own_group=True),
            )

    def write(self, job: Job) -> None:
        """Store a job as it is now."""
        write_json(self.folder / "jobs" / f"{job.id}.json", {**job.__dict__, "argv": list(job.argv)})

    def changed(self, job: Job, **fields: Any) -> Job:
        """Store the job with some fields changed."""
        new = replace(job, **fields)
        self.write(new)
        return new

    def _read(self, path: Path) -> Job | None:
        """The job that a file holds; None where another hand made it anything but a job."""
        found = {"needs_gpu": True, **found_object(path)}
        is_ours = has_types(found, _KINDS) and found["id"] == path.stem and found["state"] in _STATES
        if not is_ours or not all(isinstance(word, str) for word in found["argv"]):
            return None
        return Job(**{name: found.get(name) for name in _KINDS} | {"argv": tuple(found["argv"])})

    def _clear_gpu(self) -> None:
        if self._owner is not None:
            self._owner.clear_for(self)

    def _forget_old(self) -> None:
        ended = [job for job in self.jobs() if not job.is_open]
        for job in ended[:-_KEPT_ENDED]:
            for path in (self.folder / "jobs" / f"{job.id}.json", self.log(job.id)):
                path.unlink(missing_ok=True)
            withdraw(self.control(job.id))
