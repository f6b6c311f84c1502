"""Interpreters: those of the machine that can make an environment, and when one is made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lib_copier.environment import interpreter
from lib_copier.environment.interpreter import Inside, ensure_interpreter, found_pythons
from lib_copier.environment.report import Report


def answer(python: str, version: str, *, has_venv: bool = True) -> Inside:
    return Inside(Path(python), version, Path("/site"), True, has_venv)


def test_pythons_are_found_once_a_version_and_only_those_that_will_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = {
        "python3.12": answer("/usr/bin/python3.12", "3.12.3", has_venv=False),
        "python3.11": answer("/usr/bin/python3.11", "3.11.2"),
        "python3": answer("/usr/bin/python3", "3.11.2"),
        "python": answer("/usr/bin/python", "3.9.1"),
    }
    monkeypatch.setattr(interpreter.shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setattr(interpreter, "ask", lambda *argv: there[argv[0]])
    assert [str(one.python) for one in found_pythons()] == ["/usr/bin/python3.11"]


def test_on_windows_the_launcher_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def ask(*argv: str) -> Inside | None:
        asked.append(argv)
        return answer("C:/Python312/python.exe", "3.12.1") if argv == ("py.exe", "-3.12") else None

    monkeypatch.setattr(interpreter.sys, "platform", "win32")
    monkeypatch.setattr(interpreter.shutil, "which", lambda name: "py.exe" if name == "py" else None)
    monkeypatch.setattr(interpreter, "ask", ask)
    assert [one.version for one in found_pythons()] == ["3.12.1"]
    assert ("py.exe", "-3.13") in asked


def test_an_interpreter_tells_of_itself(base_python: Path) -> None:
    found = interpreter.ask(str(base_python))
    assert found is not None and found.python.is_file()
    assert interpreter.ask("/no/such/python") is None


@pytest.mark.parametrize(("version", "is_made"), [("", False), ("3.11", False), ("3.12", True)])
def test_another_version_is_made_anew_only_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report, version: str, is_made: bool
) -> None:
    runs: list[Any] = []
    there = ["3.11.7"]

    def run(argv: Any, folder: Path, log: Path) -> None:
        runs.append(argv)
        there[:] = ["3.12.1"]

    monkeypatch.setattr(interpreter, "look_inside", lambda folder: answer("p", there[0]))
    monkeypatch.setattr(interpreter, "_run", run)
    python = Path("/opt/python3.12")
    ensure_interpreter(tmp_path, python, tmp_path / "log", report, version)
    assert bool(runs) == is_made
    assert not runs or runs[0] == (str(python), "-m", "venv", "--clear", str(tmp_path))
