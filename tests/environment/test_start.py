"""The front door: its own options, unknown commands, and the hand-over to the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib_copier.environment import start
from lib_copier.environment.pins import ROOT, read_pins
from lib_copier.environment.stamp import Stamp, python_of, write_stamp
from lib_copier.errors import InputError


def test_options_are_taken_out_wherever_they_stand(tmp_path: Path) -> None:
    options, rest = start.split_options(["--cpu", "demo", "--out", "x", f"--wheels={tmp_path}"])
    assert options == start.Options("cpu", tmp_path.resolve())
    assert rest == ["demo", "--out", "x"]


def test_after_two_dashes_nothing_is_taken() -> None:
    assert start.split_options(["test", "--", "--cpu"]) == (start.Options(), ["test", "--", "--cpu"])


@pytest.mark.parametrize("arguments", [["--wheels"], ["--wheels", "/no/such/folder"], ["--wheels="]])
def test_a_folder_of_wheels_must_exist(arguments: list[str]) -> None:
    with pytest.raises(InputError):
        start.split_options(arguments)


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_no_command_prints_the_table(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert start.start(argv) == 0
    assert "demo" in capsys.readouterr().out


def test_an_unknown_command_is_refused_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "_make", lambda *_: pytest.fail("the environment was touched"))
    assert start.start(["trian"]) == 2
    assert "Did you mean 'train'?" in capsys.readouterr().err


def fake_environment(folder: Path, code: int) -> None:
    """An environment in order whose interpreter prints its arguments."""
    python = python_of(folder)
    python.parent.mkdir(parents=True)
    prints = 'printf "%s\\n" "$PYTHONPATH" "$COPIER_LORA_WHEELS" "$@"'
    python.write_text(f"#!/bin/sh\n{prints}\nexit {code}\n")
    python.chmod(0o755)
    write_stamp(folder, Stamp("3.11.7", "cpu", "", {"base": read_pins("base")}))


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_the_command_runs_inside_and_its_exit_code_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "an envirönment"
    fake_environment(folder, code=3)
    environ = {**os.environ, start.FOLDER: str(folder)}
    argv = [sys.executable, str(ROOT / "run.py"), "lora", "info", "ä b.safetensors", "--cpu", "--wheels", "."]
    ended = subprocess.run(
        argv, capture_output=True, encoding="utf-8", env=environ, cwd=tmp_path, check=False
    )
    assert ended.returncode == 3
    assert ended.stdout.splitlines() == [
        str(ROOT), str(tmp_path), "-P", "-m", "lib_copier", "lora", "info", "ä b.safetensors",
    ]  # fmt: skip


def test_run_py_is_short_and_says_what_an_old_python_lacks() -> None:
    source = (ROOT / "run.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 80
    old = source.replace("OLDEST = (3, 10)", "OLDEST = (99, 0)")
    ended = subprocess.run([sys.executable, "-c", old], capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == 1
    assert "Copier LoRA needs Python" in ended.stderr
