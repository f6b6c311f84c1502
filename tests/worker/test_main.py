"""The worker's protocol, spoken to a real process: junk is told, bad jobs are refused, and it always ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "lib_copier.worker"]


class Talk:
    """A worker and the lines to and from it."""

    def __init__(self, *arguments: str) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([*COMMAND, *arguments], text=True, cwd=ROOT, **pipes)

    def send(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def job(self, part: str, *arguments: str, name: str = "1") -> list[dict]:
        """What comes on stdout up to the end of the job; the same end comes on stderr."""
        told = {"do": "job", "id": name, "part": part, "arguments": list(arguments), "control": ""}
        self.send(json.dumps(told))
        heard = self.heard()
        while not self.process.stderr.readline().startswith('{"event": "ended"'):
            pass
        return heard

    def heard(self) -> list[dict]:
        found: list[dict] = []
        while not found or found[-1]["event"] != "ended":
            if line := self.process.stdout.readline().strip():
                found.append(json.loads(line))
        return found


@pytest.fixture
def talk() -> Iterator[Talk]:
    found = Talk()
    yield found
    found.process.kill()
    with found.process:
        return


def test_junk_is_told_and_bad_jobs_are_refused_and_it_goes_on(talk, tmp_path) -> None:
    for junk in ("{not json", '["a list"]', '{"do": "dance"}', '{"do": "job", "id": 7}', "\0\0"):
        talk.send(junk)
    talk.send('{"do": "free"}')
    heard = talk.job("os", "remove", name="a")
    told = [event["text"] for event in heard if event["event"] == "log"]
    assert len(told) == 5 and "no job: {not json" in told[0]
    (error,) = [event for event in heard if event["event"] == "error"]
    assert error["exit_code"] == 2 and "'os'" in error["what"] and "train" in error["advice"]
    assert heard[-1] == {"event": "ended", "id": "a", "exit_code": 2}
    heard = talk.job("lora", "resize", "--model", str(tmp_path / "no"), "--new_rank", "1", "--save_to", "x")
    assert [event["event"] for event in heard] == ["began", "error", "ended"]
    assert "no" in heard[1]["what"] and heard[-1]["exit_code"] == 2


def test_its_stdin_belongs_to_it_alone(talk, tmp_path) -> None:
    """What a job reads from stdin, or hands on to a child, is not the pipe of jobs."""
    pid = talk.process.pid
    talk.job("lora", "info", str(tmp_path / "no"))
    if Path("/proc/self/fd").is_dir():
        assert os.readlink(f"/proc/{pid}/fd/0") == os.devnull  # noqa: PTH115 - not a path of ours


def test_the_end_of_its_pipe_ends_it(talk) -> None:
    talk.process.stdin.close()
    assert talk.process.wait(30) == 0


def test_it_ends_when_nothing_comes() -> None:
    idle = Talk("0.1")
    with idle.process:
        assert idle.process.wait(30) == 0


def test_what_ends_a_job_badly_ends_the_worker_with_its_exit_code(talk) -> None:
    told = {"do": "job", "id": "1", "part": "caption", "arguments": [], "control": ""}
    talk.send(json.dumps(told))
    assert talk.process.wait(60) == 2
    assert "usage: caption" in talk.process.stderr.read()


@pytest.mark.skipif(os.name == "nt", reason="a killed parent closes the pipe there")
def test_it_ends_when_its_parent_dies_though_its_stdin_stays_open() -> None:
    """The pipe's other end is held by this test: only the parent's death can end the worker."""
    reader, writer = os.pipe()
    script = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({COMMAND!r}, stdin={reader}, cwd={str(ROOT)!r})\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, pass_fds=(reader,)
    )
    try:
        worker = psutil.Process(int(parent.stdout.readline()))
        time.sleep(1.0)
        parent.kill()
        parent.communicate()
        _gone, alive = psutil.wait_procs([worker], timeout=30)
        assert not alive
    finally:
        parent.kill()
        os.close(reader)
        os.close(writer)
