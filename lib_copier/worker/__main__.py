"""`python -m lib_copier.worker`: takes jobs as JSON lines on stdin, one object a line.

``{"do": "job", "id": ID, "part": "train", "arguments": ["CONFIG.json"], "control": FILE or ""}``
    What ``python -m lib_copier.train CONFIG.json`` does, with `control` as its control file. What it writes
    stands between ``{"event": "began", "id": ID}`` and ``{"event": "ended", "id": ID, "exit_code": 0}``, of
    which the latter comes on stdout and on stderr: nothing of the job is on its way any more.
``{"do": "free"}``
    Give back what is kept for the next job, on the device too; it is taken again when it is needed.

Bad input ends a job with exit code 2. Any other failure ends the worker with the exit code that the job would
have had. It ends with its stdin, with its parent, and when nothing has come for some minutes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lib_copier.edge import guard, leave
from lib_copier.models.threads import prepare_waiting
from lib_copier.worker.inbox import Inbox
from lib_copier.worker.service import serve

IDLE_SECONDS = 300.0


def main(argv: Sequence[str]) -> int:
    """Work until nobody wants anything any more; the exit code of the job that ended it, else 0."""
    prepare_waiting()
    inbox = Inbox(_own_stdin())
    return serve(inbox, idle_seconds=float(argv[0]) if argv else IDLE_SECONDS)


def _own_stdin() -> int:
    """The pipe of jobs under another number: no job and no child of one finds it as its stdin."""
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


if __name__ == "__main__":
    leave(guard(main, sys.argv[1:]))
