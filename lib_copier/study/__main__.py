"""`python -m lib_copier.study FOLDER`: runs a study as a job of a queue."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lib_copier.border.events import emit
from lib_copier.edge import end_with_children, guard
from lib_copier.errors import InputError
from lib_copier.graph.running import wanted_of_job
from lib_copier.study.running import run
from lib_copier.study.study import Study


def main(argv: Sequence[str]) -> int:
    """Run one study; what it does is told by the events of its runs, in its folder."""
    if len(argv) != 1 or argv[0].startswith("-"):
        raise InputError("usage: python -m lib_copier.study FOLDER")
    # The queue's worker ends a job by SIGTERM; the children must end with it.
    end_with_children()
    outcomes = run(Study.open(Path(argv[0])), should_stop=wanted_of_job)
    emit("done", variants=len(outcomes))
    return 0


if __name__ == "__main__":
    raise SystemExit(guard(main, sys.argv[1:], emits_events=True))
