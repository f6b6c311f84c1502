"""Workers: one for many jobs, gone where a job ended badly, never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from lib_copier.engines import listening
from lib_copier.engines import workers as workers_module
from lib_copier.engines.listening import Watch
from lib_copier.engines.task import Command
from lib_copier.engines.workers import Worker, Workers
from lib_copier.errors import CancelledError, ChildError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")

STAND_IN = """
import json, os, sys, time
def say(stream=sys.stdout, **fields):
    print(json.dumps(fields), file=stream, flush=True)
def do(words):
    if words[0] == "exit":
        print("it broke", file=sys.stderr)
        sys.exit(int(words[1]))
    if words[0] == "wait":
        say(event="progress", step=0, total=1)
        time.sleep(60)
    if words[0] == "raise":
        raise RuntimeError(words[1])
    if words[0] == "junk":
        for line in ("{", "[]", '{"event": 3}', '{"event": "ended"}', '{"event": "began", "id": 5}', "\\0"):
            print(line)
        print(json.dumps({"event": "ended", "id": words[1]}), flush=True)
        say(event="ended", id="another", exit_code=0)
    if words[0] == "refuse":
        say(event="error", what="Bad.", advice="Mend.", exit_code=2)
        return 2
    print(words[0], file=sys.stderr)
    say(event="done", pid=os.getpid(), control=os.environ.get("COPIER_LORA_CONTROL", ""))
    print("half a line", end="")
    return 0
for line in sys.stdin:
    job = json.loads(line)
    if job["do"] == "job":
        say(event="began", id=job["id"])
        os.environ["COPIER_LORA_CONTROL"] = job["control"]
        print()
        code = do(job["arguments"])
        for stream in (sys.stdout, sys.stderr):
            print(file=stream)
            say(stream, event="ended", id=job["id"], exit_code=code)
"""


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Command]:
    """A command whose worker is played by a few lines."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{script}"\n')
    python.chmod(0o755)
    return lambda *words: Command((str(python), "-m", "lib_copier.play", *words), job=("play", *words))


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path / "log.txt", control=tmp_path / "control.json")


def test_one_worker_does_one_job_after_the_other_each_with_its_own_log(job, watch, tmp_path) -> None:
    with Workers() as workers:
        first = workers.run(job("apple"), watch)
        second = workers.run(job("pear"), Watch(tmp_path / "second.txt"))
        assert first.result["pid"] == second.result["pid"] and workers.starts == 1
        pid = first.result["pid"]
    assert first.result["control"] == str(watch.control) and second.result["control"] == ""
    log, other = (tmp_path / name for name in ("log.txt", "second.txt"))
    assert "apple" in log.read_text() and "pear" not in log.read_text()
    assert "pear" in other.read_text() and "apple" not in other.read_text()
    assert not {"began", "ended"} & set(other.read_text().replace('"', " ").split())
    assert log.read_text().startswith("$ ")
    assert not psutil.pid_exists(pid)


def test_bad_input_ends_the_job_and_not_the_worker(job, watch) -> None:
    with Workers() as workers:
        workers.run(job("one"), watch)
        with pytest.raises(ChildError, match="Bad. Mend.") as caught:
            workers.run(job("refuse"), watch)
        assert caught.value.returncode == 2
        workers.run(job("one"), watch)
        assert workers.starts == 1


def test_what_fails_fails_alone_as_in_a_process_of_its_own(job, watch) -> None:
    with Workers() as workers:
        workers.run(job("one"), watch)
        with pytest.raises(ChildError, match="exit code 5: it broke") as caught:
            workers.run(job("exit", "5"), watch)
        assert caught.value.returncode == 5 and caught.value.last_lines[-1] == "it broke"
        workers.run(job("one"), watch)
        assert workers.starts == 2


def test_a_driver_that_is_lost_is_told_in_a_line_and_the_next_job_gets_a_fresh_one(job, watch) -> None:
    with Workers() as workers:
        first = workers.run(job("one"), watch).result["pid"]
        with pytest.raises(
            ChildError, match="unspecified launch failure.*driver failed: run it again"
        ) as caught:
            workers.run(job("raise", "CUDA error: unspecified launch failure"), watch)
        assert "\n" not in str(caught.value)
        assert workers.run(job("one"), watch).result["pid"] != first


def test_junk_on_its_pipe_is_no_end_of_the_job(job, watch, monkeypatch) -> None:
    monkeypatch.setattr(workers_module, "uuid4", lambda: SimpleNamespace(hex="known"))
    with Workers() as workers:
        pid = workers.run(job("junk", "known"), watch).result["pid"]
        assert workers.run(job("one"), watch).result["pid"] == pid


def test_two_that_want_one_at_once_have_one_each(job, tmp_path) -> None:
    both = threading.Barrier(2, timeout=20)

    def run(number: int) -> int:
        meet = Watch(tmp_path / f"{number}.txt", on_started=lambda pid: both.wait() and None)
        return workers.run(job(f"{number}"), meet).result["pid"]

    with Workers() as workers, ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(run, range(2)))) == 2
        assert set(pool.map(run, range(2, 4))) and workers.starts == 2


def test_a_job_that_hangs_is_told_of_and_can_be_stopped(job, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(listening, "SILENCE_SECONDS", 0.2)
    heard: list[dict] = []
    is_told = lambda: any("it still runs" in str(event.get("text")) for event in heard)  # noqa: E731
    watch = Watch(
        tmp_path / "log.txt", on_event=heard.append, wanted_stop=lambda: "discard" if is_told() else ""
    )
    with Workers() as workers, pytest.raises(CancelledError):
        workers.run(job("wait"), watch)
    assert is_told()


def test_a_cancelled_job_takes_its_worker_along(job, tmp_path) -> None:
    started: list[int] = []
    underway: list[dict] = []
    watch = Watch(
        tmp_path / "log.txt",
        on_event=underway.append,
        wanted_stop=lambda: "discard" if underway else "",
        on_started=started.append,
    )
    with Workers() as workers:
        with pytest.raises(CancelledError):
            workers.run(job("wait"), watch)
        assert not psutil.pid_exists(started[0])
        workers.run(job("one"), Watch(tmp_path / "log.txt"))


def test_one_that_was_killed_while_it_was_idle_is_not_missed(job, watch) -> None:
    with Workers() as workers:
        pid = workers.run(job("one"), watch).result["pid"]
        psutil.Process(pid).kill()
        assert workers.run(job("two"), watch).result["pid"] != pid


def test_a_job_that_a_dying_worker_never_took_is_done_by_another(job, watch, monkeypatch) -> None:
    with Workers() as workers:
        pid = workers.run(job("one"), watch).result["pid"]
        # Dead already, but not yet known to be.
        monkeypatch.setattr(Worker, "fits", lambda worker, command: psutil.Process(pid).kill() or True)
        assert workers.run(job("two"), watch).result["pid"] != pid
        assert workers.starts == 2


def test_one_that_dies_as_it_starts_is_told_as_a_process_of_its_own(job, watch) -> None:
    killing = replace(watch, on_started=lambda pid: psutil.Process(pid).kill())
    with Workers() as workers:
        with pytest.raises(ChildError) as caught:
            workers.run(job("one"), killing)
        assert caught.value.returncode == -9
        assert workers.run(job("two"), watch).result["pid"] and workers.starts == 2


def test_another_environment_gets_another_worker(job, watch, monkeypatch) -> None:
    with Workers() as workers:
        pid = workers.run(job("one"), watch).result["pid"]
        other = replace(job("two"), env=(("OMP_NUM_THREADS", "7"),))
        assert workers.run(other, watch).result["pid"] != pid
        assert not psutil.pid_exists(pid), "the one that fits no more holds no memory"
        monkeypatch.setenv("SOMETHING", "new")
        workers.run(other, watch)
        assert workers.starts == 3


def test_what_no_worker_does_runs_on_its_own(watch) -> None:
    with Workers() as workers:
        code = 'print(\'{"event": "done", "ok": 1}\')'
        alone = Command((sys.executable, "-S", "-c", code))
        assert workers.run(alone, watch).result == {"ok": 1}


def test_a_worker_ends_with_the_process_that_has_it(job, tmp_path) -> None:
    code = (
        "import os, sys\n"
        f"sys.path[:0] = [{str(Path(__file__).resolve().parents[2])!r}]\n"
        "from pathlib import Path\n"
        "from lib_copier.engines.listening import Watch\n"
        "from lib_copier.engines.task import Command\n"
        "from lib_copier.engines.workers import Workers\n"
        f"command = Command({job('one').argv!r}, job=('play', 'one'))\n"
        f"watch = Watch(Path({str(tmp_path / 'log.txt')!r}))\n"
        "print(Workers().run(command, watch).result['pid'], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    parent = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    pid, end = int(parent.stdout), time.monotonic() + 20
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)
