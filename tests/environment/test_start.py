"""The front door: its own options, unknown commands, and the hand-over to the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib_copier import commands
from lib_copier.environment import start
from lib_copier.environment.interpreter import Inside
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
    monkeypatch.setattr(start, "_make", lambda *_, **__: pytest.fail("the environment was touched"))
    assert start.start(["trian"]) == 2
    assert "Did you mean 'train'?" in capsys.readouterr().err


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No environment is there, and none may be made."""
    monkeypatch.setenv(start.FOLDER, str(tmp_path / "own"))
    monkeypatch.setattr(start, "_make", lambda *_, **__: pytest.fail("the environment was touched"))
    return tmp_path / "own"


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.name)
def test_help_installs_nothing(
    bare: Path, command: commands.Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = """
import sys
sys.path = [path for path in sys.path if "-packages" not in path]
from lib_copier.__main__ import main
main(sys.argv[1:])
"""
    monkeypatch.setattr(start, "_HELPED", ("-S", "-c", code))
    assert start.start([command.name, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("usage:")
    # pytest tells its own options; all others that people type need no package to tell theirs.
    assert ("told once the environment is made" in said) == (command.name == "test") or command.is_internal


def test_help_of_the_setup_tells_what_it_takes_and_where(
    bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start.start(["setup", "--help"])
    said = capsys.readouterr().out
    for word in (f"about {start.GIGABYTES['cpu']} GB", str(bare), start.FOLDER, "--wheels", "--python"):
        assert word in said


def test_help_after_two_dashes_is_the_commands_own_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(start.FOLDER, str(tmp_path / "own"))
    monkeypatch.setattr(start, "_make", lambda *_, **__: 7)
    assert start.start(["test", "--", "--help"]) == 7


def test_another_python_makes_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from lib_copier.environment import interpreter, make

    asked: list[make.Wanted] = []
    other = Inside(Path("/opt/python3.12"), "3.12.4", tmp_path / "site", True, True)
    monkeypatch.setattr(start.shutil, "which", lambda name: str(name))
    monkeypatch.setattr(interpreter, "ask", lambda *argv: other)
    monkeypatch.setattr(make, "make_environment", lambda wanted, report: asked.append(wanted))
    monkeypatch.setenv(start.FOLDER, str(tmp_path / "own"))
    assert start.start(["setup", "--python", "python3.12", "--host-torch"]) == 0
    assert (asked[0].python, asked[0].version) == (other.python, "3.12")
    assert asked[0].host_site_packages == (other.site_packages,), "its torch, not that of this Python"


@pytest.mark.parametrize(
    "found",
    [None, Inside(Path("p"), "3.9.1", Path(), True, True), Inside(Path("p"), "3.12.1", Path(), True, False)],
)
def test_a_python_that_will_not_do_is_refused(monkeypatch: pytest.MonkeyPatch, found: Inside | None) -> None:
    from lib_copier.environment import interpreter

    monkeypatch.setattr(start.shutil, "which", lambda name: str(name))
    monkeypatch.setattr(interpreter, "ask", lambda *argv: found)
    with pytest.raises(InputError, match="venv and ensurepip"):
        start.split_options(["--python=some", "setup"])


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
