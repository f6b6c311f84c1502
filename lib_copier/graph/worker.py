"""The worker of a queue: takes the jobs one after the other until none is left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lib_copier.engines.listening import Watch
from lib_copier.engines.locate import child_environment, python, root
from lib_copier.engines.process import run_command
from lib_copier.engines.task import Command
from lib_copier.engines.tree import end_tree
from lib_copier.errors import CancelledError, ChildError, CopierError, GoalError
from lib_copier.files.lock import HeldError
from lib_copier.graph.lock import held, identity, living
from lib_copier.graph.queue import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job, Queue
from lib_copier.graph.running import JOB_CONTROL, SAVE, wanted_stop, withdraw

LINGER_SECONDS = 3.0
"""How long an idle worker waits for another job: a page often submits several in a row."""
_LOOK_SECONDS = 0.1


def work(folder: Path) -> None:
    """Run the queue's jobs; returns at once where another worker is at it."""
    queue = Queue(folder)
    while True:
        try:
            with held(queue.worker_lock, "The queue"):
                _work(queue)
        except HeldError:
            return
        # A job that came after the last look, while the lock still told of a worker, started no other.
        if not any(job.state == QUEUED for job in queue.jobs()):
            return


def _work(queue: Queue) -> None:
    _settle(queue)
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < LINGER_SECONDS:
        waiting = next((job for job in queue.jobs() if job.state == QUEUED), None)
        if waiting is not None:
            is_kept_back = not _do(queue, waiting)
            idle_since = time.monotonic()
        if waiting is None or is_kept_back:
            time.sleep(_LOOK_SECONDS)


def _settle(queue: Queue) -> None:
    """Jobs that a dead worker left as running: end what still runs of them, and queue them again.

    Nothing is lost: a project's steps that are done stay done, and a training goes on from its state.
    """
    for job in queue.jobs():
        if job.state == RUNNING:
            orphan = living(job.process)
            if orphan is not None:
                end_tree(orphan.pid)
            queue.changed(job, state=QUEUED, process=None)


def _do(queue: Queue, job: Job) -> bool:
    """Run a job to its end; False where it has to wait for the GPU."""
    control = queue.control(job.id)
    if wanted_stop(control):
        queue.changed(job, state=CANCELLED, ended_at=time.time())
        withdraw(control)
        return True
    begun = queue.begin(job)
    if begun is None:
        return False
    running = [begun]

    def note(pid: int) -> None:
        running[0] = queue.changed(running[0], process=identity(pid))

    # The job listens to its control file itself and ends its own children well; only one that
    # does not react is ended from here.
    env = (*child_environment(), (JOB_CONTROL, str(control)))
    command = Command((str(python()), *job.argv), cwd=root(), env=env)
    watch = Watch(log=queue.log(job.id), wanted_stop=_Patience(control), token=job.id, on_started=note)
    ending: dict[str, Any]
    try:
        run_command(command, watch)
    except CancelledError:
        ending = {"state": CANCELLED}
    except ChildError as error:
        state = CANCELLED if error.returncode in (CancelledError.exit_code, 143) else FAILED
        # What to do about a missed goal is told for a terminal; the page has its own ways on.
        told = error.what if error.returncode == GoalError.exit_code else str(error)
        ending = {"state": state, "returncode": error.returncode, "message": told}
    except CopierError as error:
        ending = {"state": FAILED, "message": str(error)}
    else:
        ending = {"state": DONE, "returncode": 0}
    queue.changed(running[0], ended_at=time.time(), **ending)
    withdraw(control)
    return True


class _Patience:
    """Passes a request to discard on only after the job had time to end by itself."""

    def __init__(self, control: Path, seconds: float = 20.0) -> None:
        self._control = control
        self._seconds = seconds
        self._asked_at: float | None = None

    def __call__(self) -> str:
        how = wanted_stop(self._control)
        if not how or how == SAVE:
            return ""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        return how if time.monotonic() - self._asked_at > self._seconds else ""
