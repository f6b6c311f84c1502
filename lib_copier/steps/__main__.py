"""`python -m lib_copier.steps PROJECT [--until STEP] [--force STEP]`: runs a project as a job of a queue."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lib_copier.border.events import emit
from lib_copier.edge import end_with_children, guard
from lib_copier.errors import InputError
from lib_copier.graph.running import wanted_of_job
from lib_copier.steps.project import Project


def main(argv: Sequence[str]) -> int:
    """Run one project; what it does is told by the events of the run, in its folder."""
    folder, until, force = _arguments(argv)
    # The queue's worker ends a job by SIGTERM; the children must end with it.
    end_with_children()
    report = Project.open(Path(folder)).run(until, force=force, should_stop=wanted_of_job)
    emit("done", run=report.run, made=list(report.made), seconds=dict(report.seconds))
    return 0


def _arguments(argv: Sequence[str]) -> tuple[str, list[str], list[str]]:
    rest = list(argv)
    found: dict[str, list[str]] = {"--until": [], "--force": []}
    folders = []
    while rest:
        word = rest.pop(0)
        if word in found and rest:
            found[word].append(rest.pop(0))
        else:
            folders.append(word)
    if len(folders) != 1 or folders[0].startswith("-"):
        raise InputError("usage: python -m lib_copier.steps PROJECT [--until STEP] [--force STEP]")
    return folders[0], found["--until"], found["--force"]


if __name__ == "__main__":
    raise SystemExit(guard(main, sys.argv[1:], emits_events=True))
