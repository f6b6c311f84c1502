"""The trainer as a child process: its lines, its exit codes, and what survives being killed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lib_copier.edge import guard
from lib_copier.lora.file import read_lora
from lib_copier.train.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config_file(make_config, tmp_path):
    """Write a configuration as JSON and return its path."""

    def write(name: str = "config.json", **changes) -> Path:
        config = make_config(**changes)
        values = dataclasses.asdict(config) | {"metadata": {}, "optimizer_args": {}}
        path = tmp_path / name
        path.write_text(json.dumps(values, default=str), encoding="utf-8")
        return path

    return write


def told(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def start(path: Path, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "lib_copier.train", str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def test_a_run_tells_progress_and_its_result(config_file, capsys):
    assert guard(main, [str(config_file())], emits_events=True) == 0
    events = told(capsys.readouterr().out)
    assert events[-1]["event"] == "done" and events[-1]["steps"] == 6
    assert Path(events[-1]["output"]).is_file()
    assert {"event": "device", "kind": "CPU"} in events
    assert any(one["event"] == "progress" and one["total"] == 6 for one in events)


@pytest.mark.parametrize("argv", [[], ["--steps"], ["a", "b"], ["/nowhere.json"]])
def test_bad_arguments_exit_with_2(argv, capsys):
    assert guard(main, argv, emits_events=True) == 2
    assert told(capsys.readouterr().out)[-1]["event"] == "error"


@pytest.mark.parametrize("content", [b"x" * 100, b"PK\x03\x04" + b"\0" * 50])
def test_a_checkpoint_that_is_none_exits_with_2(config_file, tmp_path, capsys, content):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(content)
    assert guard(main, [str(config_file(checkpoint=str(broken)))], emits_events=True) == 2
    assert "broken.safetensors" in told(capsys.readouterr().out)[-1]["what"]


def test_running_out_of_memory_says_what_to_lower(config_file, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("lib_copier.train.loop.prepare", fail)
    assert guard(main, [str(config_file())], emits_events=True) == 3
    assert "gradient_checkpointing" in told(capsys.readouterr().out)[-1]["advice"]


def test_a_full_disk_is_told(config_file, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device", "state.pt")

    monkeypatch.setattr("lib_copier.train.state.replacing", fail)
    assert guard(main, [str(config_file(state_every=2))], emits_events=True) == 3
    error = told(capsys.readouterr().out)[-1]
    assert "No space left" in error["what"] and "free space" in error["advice"]


@pytest.mark.slow
def test_a_killed_process_goes_on_from_its_last_state(config_file, make_config, run, tmp_path):
    long = {"steps": 30, "state_every": 5}
    child = start(config_file(**long))
    for line in child.stdout:
        if json.loads(line).get("step", 0) >= 12:
            child.kill()
            break
    child.wait()
    notes: list[str] = []
    resumed, whole = make_config(**long), make_config(output=str(tmp_path / "whole.safetensors"), **long)
    run(resumed, log=notes.append)
    run(whole)
    assert notes[0].startswith("Going on after step")
    first, second = (read_lora(config.output).layers for config in (resumed, whole))
    assert all(np.array_equal(first[name].up, second[name].up) for name in second)


@pytest.mark.slow
def test_sigterm_keeps_the_state_and_exits_with_130(config_file, tmp_path):
    path = config_file(steps=2000)
    child = start(path)
    for line in child.stdout:
        if json.loads(line).get("step", 0) >= 2:
            child.send_signal(signal.SIGTERM)
            break
    rest, _ = child.communicate(timeout=120)
    assert child.returncode == 130
    assert told(rest)[-1]["event"] == "error"
    assert (tmp_path / "work" / "state.pt").is_file()


@pytest.mark.slow
def test_the_control_file_stops_a_child(config_file, tmp_path):
    control = tmp_path / "control.json"
    child = start(config_file(steps=2000), COPIER_LORA_CONTROL=str(control))
    for line in child.stdout:
        if json.loads(line).get("step", 0) >= 2:
            control.write_text('{"stop": "save"}', encoding="utf-8")
            break
    rest, _ = child.communicate(timeout=120)
    assert child.returncode == 0
    assert told(rest)[-1]["ended"] == "saved"
    assert (tmp_path / "lora.safetensors").is_file()
