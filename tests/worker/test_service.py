"""A job in a worker is a job in a process of its own: same bytes in any order, same words when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.engines.listening import Watch
from lib_copier.engines.process import run_command
from lib_copier.engines.workers import Workers
from lib_copier.errors import ChildError
from tests.worker.conftest import JOBS, Given, left


def in_one_worker(given: Given, folders: list[Path]) -> tuple[list[dict[str, str]], int]:
    """What the jobs that the folders are called by have left in them, and how many workers it took."""
    found = []
    with Workers() as workers:
        for out in folders:
            out.mkdir(parents=True)
            try:
                workers.run(JOBS[out.name](given, out), Watch(out / "log.txt"))
            except ChildError as error:
                found.append({"error": str(error).replace(str(out.parent), "")})
            else:
                found.append(left(out))
    return found, workers.starts


@pytest.mark.slow
def test_every_kind_of_job_leaves_the_bytes_of_a_process_of_its_own_in_both_orders(
    given, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    alone = {}
    for name, command in JOBS.items():
        out = tmp_path / "alone" / name
        out.mkdir(parents=True)
        try:
            run_command(command(given, out), Watch(out / "log.txt"))
        except ChildError as error:
            alone[name] = {"error": str(error).replace(str(tmp_path / "alone"), "")}
        else:
            alone[name] = left(out)
    assert [name for name, found in alone.items() if "error" in found] == ["extract"]
    # There and back: each kind comes before every other, and after it.
    there = [tmp_path / "there" / name for name in JOBS]
    folders = [*there, *(tmp_path / "back" / path.name for path in reversed(there))]
    found, starts = in_one_worker(given, folders)
    for out, one in zip(folders, found, strict=True):
        assert one == alone[out.name], out.relative_to(tmp_path)
    assert starts == 1, "bad input ends a job and not its worker"
