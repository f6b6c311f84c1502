"""The engines' cards: what a set-up takes, why one failed, and the ways out, all on the page."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from lib_copier.environment import interpreter
from lib_copier.graph.queue import FAILED
from lib_copier.ui import built_in

OTHER = interpreter.Inside(Path("/opt/python3.12"), "3.12.4", Path("/opt/site"), True, True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """No environment is there; the program that the page runs in has torch 2.1.2."""
    host = tmp_path / "host"
    (host / "torch-2.1.2.dist-info").mkdir(parents=True)
    (host / "torch-2.1.2.dist-info" / "METADATA").write_text("Name: torch\nVersion: 2.1.2\n")
    monkeypatch.delenv("COPIER_LORA_PYTHON", raising=False)
    monkeypatch.setenv("COPIER_LORA_ENVIRONMENT", str(tmp_path / "own"))
    monkeypatch.setattr(built_in, "is_ready", lambda: False)
    monkeypatch.setattr(built_in, "running_host_paths", lambda: (host,))
    monkeypatch.setattr(built_in, "other_pythons", lambda: (OTHER,))
    return tmp_path / "own"


def shown(ask, language: str = "en") -> str:
    """What stands on the start panel, as text."""
    return unescape(re.sub(r"<[^>]+>", " ", ask("go", {"language": language})["html"]["panel"]))


def fail(door, log: Path, said: str, message: str = "The child process ended.") -> None:
    """A set-up that ended so."""
    queue = door.wizard().workshop.queue
    job = queue.submit("built-in", "Set up", ("run.py", "setup"), needs_gpu=False)
    queue.changed(job, state=FAILED, message=message)
    log.write_text(f"$ pip install x\nNo space left on device\n\n$ pip install torch\n{said}\n")


def test_what_a_set_up_takes_is_told_before(ask, folder):
    text = shown(ask)
    assert "about 0.5 GB" in text and str(folder) in text and "GB free" in text
    assert "torch 2.1.2" in text and "COPIER_LORA_ENVIRONMENT" in text


def test_the_torch_that_is_there_is_borrowed_unasked(ask, folder, door):
    ask("engine", verb="set_up")
    assert door.wizard().workshop.queue.jobs()[0].argv == ("run.py", "setup", "--host-torch")


def test_a_torch_that_is_too_old_is_not_borrowed(folder, tmp_path):
    metadata = tmp_path / "host" / "torch-2.1.2.dist-info"
    (metadata / "METADATA").write_text("Name: torch\nVersion: 1.13.1\n")
    assert built_in.setup_arguments() == ("run.py", "setup")


def test_an_environment_with_its_own_torch_keeps_it(folder):
    from lib_copier.environment.stamp import Stamp, write_stamp

    folder.mkdir()
    write_stamp(folder, Stamp("3.11.7", "cuda"))
    assert built_in.setup_arguments() == ("run.py", "setup")


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("WARNING: Retrying after NewConnectionError: Name or service not known", "unreachable"),
        ("ERROR: No matching distribution found for torch==2.13.0", "absent"),
        ("OSError: [Errno 28] No space left on device", "full"),
    ],
)
def test_a_failure_is_told_in_the_pages_words_with_what_can_be_done_here(
    ask, door, folder, language, said, cause
):
    fail(door, folder.with_name("own.log"), said)
    door.host.info = door.host.info.__class__(**{**door.host.info.__dict__, "language": language})
    text, words = shown(ask), door.wizard().texts
    assert words(f"engine.failed_{cause}") in text and words("engine.failed") in text
    assert said in text, "the log stands there in full"
    assert str(folder.with_name("own.log")) in text
    assert "Python 3.12.4" in text and words("engine.wheels") in text
    assert "--host-torch" not in text and "--wheels" not in text, "no flags, which a page has not"
    assert "-r requirements/base.txt" in text


def test_a_failure_of_another_kind_is_told_as_it_is(ask, door, folder):
    fail(door, folder.with_name("own.log"), "?", "This Python lacks venv or ensurepip.")
    assert "lacks venv" in shown(ask)


def test_wheels_and_another_python_travel_to_the_set_up(ask, folder, door, tmp_path):
    wheels = tmp_path / "Räder"
    wheels.mkdir()
    (wheels / "x-1-py3-none-any.whl").touch()
    ask("engine", verb="set_up", values={"wheels": str(wheels), "python": str(OTHER.python)})
    jobs = door.wizard().workshop.queue.jobs()
    assert jobs[0].argv[2:] == ("--python", str(OTHER.python), "--wheels", str(wheels))
    ask("engine", verb="install", values={"wheels": str(wheels)})
    assert door.wizard().workshop.queue.jobs()[1].argv[-3:] == ("install", "--wheels", str(wheels))


@pytest.mark.parametrize(
    "values",
    [{"wheels": "/no/such/folder"}, {"wheels": "relative"}, {"wheels": "/tmp\0x"}, {"python": "/bin/sh"}],
)
def test_what_the_form_names_is_checked(ask, folder, door, values):
    assert ask("engine", verb="set_up", values=values)["notice"]["kind"] == "error"
    assert door.wizard().workshop.queue.jobs() == ()
