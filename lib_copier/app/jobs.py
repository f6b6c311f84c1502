"""`run.py jobs`: what waits and runs behind the pages of this copy, and how to stop it without a page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lib_copier.edge import Parser
from lib_copier.engines.locate import root
from lib_copier.errors import InputError
from lib_copier.graph.folders import Folders
from lib_copier.graph.queue import QUEUED, Job, Queue
from lib_copier.graph.running import DISCARD, SAVE, running
from lib_copier.host.a1111 import FOLDER_NAME
from lib_copier.markup.html import duration
from lib_copier.ui.workshop import QUEUE_FOLDER


def main(argv: Sequence[str]) -> int:
    """List the open jobs, or ask one to stop."""
    arguments = _parser().parse_args(argv)
    queues = [Queue(folder / QUEUE_FOLDER) for folder in arguments.projects or _data_folders()]
    if arguments.verb == "stop":
        queue, job = _found(queues, arguments.id)
        queue.cancel(job.id, SAVE if arguments.save else DISCARD)
        # A worker that died took no notice; the next one does.
        queue.ensure_worker()
        _tell(_stopped(job, is_saving=arguments.save), {"stopped": job.id}, as_json=arguments.json)
        return 0
    jobs = [job for queue in queues for job in queue.jobs() if job.is_open or arguments.all]
    lines = "\n".join(_line(job) for job in jobs) or "Nothing waits or runs."
    _tell(lines, {"jobs": [_described(job) for job in jobs]}, as_json=arguments.json)
    return 0


def _data_folders() -> Iterator[Path]:
    """Where the pages of this copy keep their queues: one of our own, and that of a WebUI around it."""
    yield root() / "projects"
    if root().parent.name == "extensions":
        yield root().parents[1] / FOLDER_NAME


def _found(queues: Sequence[Queue], ending: str) -> tuple[Queue, Job]:
    """The one open job whose id ends so, and its queue.

    Raises
    ------
    InputError
        Where there is none, or more than one.
    """
    found = [
        (queue, job) for queue in queues for job in queue.jobs() if job.is_open and job.id.endswith(ending)
    ]
    if len(found) != 1:
        what = "Several open jobs end in" if found else "There is no open job"
        raise InputError(f"{what} {ending!r}.", "`run.py jobs` lists them with their ids.")
    return found[0]


def _stopped(job: Job, *, is_saving: bool) -> str:
    if job.state == QUEUED:
        return f"{job.title}: taken out of the queue; it had not begun."
    if is_saving:
        return f"{job.title}: its training writes the LoRA as it is now, then it ends. Finished steps stay."
    return f"{job.title}: ends now. Finished steps stay; the step under way leaves no result."


def _steps(job: Job) -> tuple[str, ...]:
    found = running(Folders(Path(job.key)).running)
    return found.steps if found is not None else ()


def _line(job: Job) -> str:
    since = job.submitted_at if job.started_at is None else job.started_at
    took = duration((job.ended_at or time.time()) - since)
    told = [job.id, job.state, took, job.title, ", ".join(_steps(job)) if job.is_open else job.message]
    return "  ".join(part for part in told if part)


def _described(job: Job) -> dict[str, Any]:
    names = ("id", "title", "state", "submitted_at", "started_at", "ended_at", "message")
    found = {name: getattr(job, name) for name in names}
    return {**found, "project": job.key, "steps": list(_steps(job)) if job.is_open else []}


def _tell(text: str, value: dict[str, Any], *, as_json: bool) -> None:
    print(json.dumps(value, ensure_ascii=False) if as_json else text)


def _parser() -> Parser:
    parser = Parser(prog="run.py jobs", description=__doc__)
    parser.add_argument("--all", action="store_true", help="those that ended too")
    verbs = parser.add_subparsers(dest="verb", metavar="stop ID")
    stop = verbs.add_parser("stop", help="stop a job, or take it out of the queue")
    stop.add_argument("id", metavar="ID", help="as listed, or its end")
    stop.add_argument("--save", action="store_true", help="let a training write its LoRA first")
    for one in (parser, stop):
        one.add_argument("--json", action="store_true", help="print one object on stdout")
        one.add_argument("--projects", action="append", type=Path, metavar="FOLDER",
                         help="folder of the projects, where a page was given another one")  # fmt: skip
    return parser
