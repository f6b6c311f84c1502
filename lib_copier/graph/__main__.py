"""`python -m lib_copier.graph QUEUE_FOLDER`: the worker of a queue, started by the queue itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lib_copier.edge import guard
from lib_copier.errors import InputError


def main(argv: Sequence[str]) -> int:
    """Work off one queue."""
    from lib_copier.graph.worker import work

    if len(argv) != 1 or not Path(argv[0]).is_dir():
        raise InputError("The worker takes one argument: the queue's folder.")
    work(Path(argv[0]))
    return 0


if __name__ == "__main__":
    raise SystemExit(guard(main, sys.argv[1:]))
