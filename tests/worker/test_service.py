"""A job in a worker is a job in a process of its own: same bytes in any order, same words when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.engines.listening import Watch
from lib_copier.engines.process import run_command
from lib_copier.engines.workers import Workers
from lib_copier.errors import ChildError
from tests.worker.conftest import JOBS, Given, left


def in_workers(given: Given, folder: Path, names: list[str]) -> tuple[dict[str, dict[str, str]], int]:
    found = {}
    with Workers() as workers:
        for name in names:
            out = folder / name
            out.mkdir(parents=True)
            try:
                workers.run(JOBS[name](given, out), Watch(out / "log.txt"))
            except ChildError as error:
                found[name] = {"error": str(error).replace(str(folder), "")}
            else:
                found[name] = left(out)
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
    orders = {"there": list(JOBS), "back": list(reversed(JOBS))}
    for order, names in orders.items():
        found, starts = in_workers(given, tmp_path / order, names)
        assert found == alone, order
        assert starts == 1, "bad input ends a job and not its worker"
