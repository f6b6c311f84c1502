"""Many small factorisations at once: one thread each, the layers side by side.

BLAS threads spin at barriers: with another program on one core, a factorisation of a thin matrix
over two threads takes a hundred times its time. Layers are independent, so they are what runs in
parallel, and BLAS keeps to one thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

from lib_copier.border.cores import granted_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# More workers than this only hold memory: reading and writing are the limit by then.
_MOST_WORKERS = 16


def keep_blas_to_one_thread() -> None:
    """Tell BLAS to use one thread; works only before numpy (or torch) is first imported."""
    for name in THREAD_VARIABLES:
        os.environ[name] = "1"


def worker_count() -> int:
    """One for each core that is ours, within reason."""
    return min(_MOST_WORKERS, granted_cores())


def in_parallel(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, result) as they get ready; few are underway at a time, so memory stays bounded.

    The first error stops the rest and is raised here.
    """
    count = workers or worker_count()
    queue = iter(items)
    with ThreadPoolExecutor(count) as pool:
        running = {}
        try:
            for item in queue:
                running[pool.submit(work, item)] = item
                if len(running) >= 2 * count:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield running.pop(future), future.result()
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            for future in running:
                future.cancel()
