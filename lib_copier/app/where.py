"""The flag `--on`: where the steps of a run are done."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext

from lib_copier.graph.executor import Executor

HERE = "local"


def add_where_flag(parser: argparse.ArgumentParser) -> None:
    """Give a command the flag."""
    parser.add_argument(
        "--on",
        default=HERE,
        metavar="local|ray[://HOST:PORT]",
        help="where steps are done: here (default), or on the nodes of a Ray cluster",
    )


def executor_on(where: str) -> AbstractContextManager[Executor | None]:
    """What the flag names, for `Project.run(elsewhere=…)`; None: here. A context that ends with the run.

    Raises
    ------
    InputError
        It names nothing that can be used: no such cluster, or one of another kind.
    """
    if where == HERE:
        return nullcontext()
    from lib_copier.cluster.connection import require_address
    from lib_copier.cluster.executor import RayExecutor

    return RayExecutor(require_address(where))
