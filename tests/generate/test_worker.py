"""The worker's protocol, spoken to a real process: the model stays, bad requests do not end it."""

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
from PIL import Image

COMMAND = [sys.executable, "-m", "lib_copier.generate", "--worker", "--device", "cpu"]
REQUEST = {"prompt": "a cat", "width": 64, "height": 64, "steps": 2}


class Talk:
    """A worker process and the lines to and from it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert self.read()["text"] == "ready"

    def send(self, **task) -> None:
        self.raw(json.dumps(task))

    def raw(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def read(self) -> dict:
        return json.loads(self.process.stdout.readline())

    def until_end(self) -> tuple[dict, list[dict]]:
        """The done or error event, and what came before it."""
        before = []
        while (event := self.read())["event"] not in ("done", "error"):
            before.append(event)
        return event, before


@pytest.fixture(scope="module")
def talk() -> Iterator[Talk]:
    found = Talk()
    yield found
    found.process.kill()
    found.process.wait()


def test_pictures_before_a_model_are_refused(talk, tmp_path):
    talk.send(id=1, do="generate", requests=[REQUEST], paths=[str(tmp_path / "a.png")])
    answer, _ = talk.until_end()
    assert answer["event"] == "error" and answer["id"] == 1 and "load" in answer["advice"]


def test_nonsense_is_refused_and_the_worker_goes_on(talk, tmp_path):
    talk.raw("{not json")
    assert talk.until_end()[0]["exit_code"] == 2
    talk.raw('["a list"]')
    assert talk.until_end()[0]["event"] == "error"
    talk.send(id=2, do="dance")
    assert "dance" in talk.until_end()[0]["what"]
    talk.send(id=3, do="load", checkpoint=str(tmp_path / "none.safetensors"))
    assert "no such file" in talk.until_end()[0]["what"]
    talk.send(id=4, do="ping")
    assert talk.until_end()[0]["is_loaded"] is False


def test_load_generate_free_generate(talk, checkpoint_path, tmp_path):
    talk.send(id=10, do="load", checkpoint=str(checkpoint_path()))
    answer, _ = talk.until_end()
    assert (answer["family"], answer["prediction_type"], answer["device"]) == ("sd1", "epsilon", "cpu")
    paths = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    requests = [REQUEST, {**REQUEST, "seed": 1}]
    talk.send(id=11, do="generate", requests=requests, paths=paths)
    answer, before = talk.until_end()
    assert answer["id"] == 11 and answer["paths"] == paths
    assert [(event["step"], event["total"]) for event in before] == [(0, 2), (1, 2), (2, 2)]
    first = Path(paths[0]).read_bytes()
    talk.send(id=12, do="free")
    assert talk.until_end()[0]["event"] == "done"
    talk.send(id=13, do="ping")
    assert talk.until_end()[0]["is_loaded"] is False
    talk.send(id=14, do="generate", requests=requests, paths=paths)
    assert talk.until_end()[0]["event"] == "done"
    assert Path(paths[0]).read_bytes() == first
    with Image.open(paths[0]) as picture:
        assert picture.size == (64, 64) and "Steps: 2" in picture.text["parameters"]


def test_bad_requests_name_every_fault(talk, checkpoint_path, tmp_path):
    talk.send(id=20, do="load", checkpoint=str(checkpoint_path()))
    talk.until_end()
    path = str(tmp_path / "a.png")
    talk.send(id=21, do="generate", requests=[{**REQUEST, "width": 65, "steps": 0}], paths=[path])
    answer, _ = talk.until_end()
    assert answer["exit_code"] == 2 and "64 or 72" in answer["what"] and "steps 0" in answer["what"]
    talk.send(id=22, do="generate", requests=[{"promt": "x"}], paths=[path])
    assert "promt" in talk.until_end()[0]["what"]
    talk.send(id=23, do="generate", requests=[REQUEST], paths=[])
    assert "paths" in talk.until_end()[0]["what"]
    talk.send(id=24, do="generate", requests=[REQUEST], paths=[str(tmp_path / "no" / "a.png")])
    assert "no such folder" in talk.until_end()[0]["what"]


def test_cancel_stops_pictures_underway(talk, checkpoint_path, tmp_path):
    talk.send(id=30, do="load", checkpoint=str(checkpoint_path()))
    talk.until_end()
    path = tmp_path / "long.png"
    talk.send(id=31, do="generate", requests=[{**REQUEST, "steps": 500}], paths=[str(path)])
    assert talk.read()["event"] == "progress"
    talk.send(do="cancel")
    answer, _ = talk.until_end()
    assert answer["id"] == 31 and answer["exit_code"] == 130 and not path.exists()
    talk.send(id=32, do="ping")
    assert talk.until_end()[0]["is_loaded"] is True


def test_quit_ends_it(talk):
    talk.send(do="quit")
    assert talk.process.wait(timeout=30) == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a killed parent closes the pipe there")
def test_it_ends_when_its_parent_dies_though_stdin_stays_open(tmp_path):
    """The pipe's other end is held by this test, so only the parent's death can end the worker."""
    reader, writer = os.pipe()
    script = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({COMMAND!r}, stdin={reader}, stdout=subprocess.PIPE, text=True)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, pass_fds=(reader,)
    )
    try:
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 30
        while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    except psutil.NoSuchProcess:
        pass
    finally:
        parent.kill()
        os.close(reader)
        os.close(writer)
