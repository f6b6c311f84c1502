"""The sd-scripts engine's states, from nothing to ready and back, with packages that are not installed."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lib_copier.app import engine as engine_command
from lib_copier.engines import environment, vendor, vision
from lib_copier.engines.sd_scripts.checkout import CHECKOUT_VARIABLE, MERGE, PYTHON_VARIABLE, SCRIPTS
from lib_copier.engines.state import BROKEN, GROUP, MAKING, MISSING, READY, Places, engine_state
from lib_copier.environment.interpreter import Inside
from lib_copier.environment.report import Report
from lib_copier.environment.stamp import LAYER, Stamp, python_of, write_stamp
from lib_copier.environment.start import WHEELS
from lib_copier.errors import ChildError, CopierError, InputError
from lib_copier.files.lock import locked

PINS = ("diffusers[torch]==0.32.1", "bitsandbytes")


def put_scripts(folder: Path) -> Path:
    for name in SCRIPTS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / "requirements.txt").write_text("\n".join(PINS) + "\n-e .\n")
    return folder


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CHECKOUT_VARIABLE, raising=False)
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "ein Ördner" / "vendor")


@pytest.fixture
def report() -> Report:
    return Report(io.StringIO())


@pytest.fixture
def asked(places: Places, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stands in for git, venv and pip; records the environments that were asked for."""
    seen: list[Any] = []

    def fetch(folder: Path, log: Path) -> None:
        put_scripts(folder)

    def make(wanted: Any, report: Report) -> None:
        seen.append(wanted)
        python = python_of(wanted.folder)
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()
        write_stamp(wanted.folder, Stamp("3.11.7", "host", str(wanted.folder), wanted.groups, LAYER))

    site_packages = places.environment / "site-packages"

    def look(folder: Path) -> Inside:
        site_packages.mkdir(parents=True, exist_ok=True)
        return Inside(python_of(folder), "3.11.7", site_packages, True, True)

    monkeypatch.setattr(vendor, "fetch", fetch)
    monkeypatch.setattr(vendor, "current_commit", lambda folder: vendor.COMMIT)
    monkeypatch.setattr(environment, "make_environment", make)
    monkeypatch.setattr(environment, "look_inside", look)
    monkeypatch.setattr(environment, "ensure_torchvision", lambda *_: None)
    monkeypatch.setattr(environment, "check_start", lambda *_: None)
    return seen


def test_from_missing_to_ready_and_back(places: Places, report: Report, asked: list[Any]) -> None:
    assert engine_state(places).state == MISSING
    assert environment.install(places, report).state == READY
    assert asked[0].groups == {GROUP: PINS}
    assert asked[0].host_site_packages, "the torch that runs the project is borrowed"
    path_file = places.environment / "site-packages" / "sd_scripts.pth"
    assert path_file.read_text(encoding="utf-8") == f"{places.vendored}\n"
    environment.remove(places, report)
    assert engine_state(places).state == MISSING
    assert not places.vendored.exists()
    assert not places.environment.exists()


def test_the_light_part_leaves_the_packages_out(places: Places, report: Report, asked: list[Any]) -> None:
    found = environment.install(places, report, is_light=True)
    assert (found.state, asked) == (MISSING, [])
    assert "packages" in found.why


def test_a_failure_is_the_state_until_it_is_mended(
    places: Places, report: Report, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise CopierError("sd-scripts needs torchvision.", "Put a wheel in a folder.")

    monkeypatch.setattr(environment, "ensure_torchvision", fail)
    with pytest.raises(CopierError):
        environment.install(places, report)
    found = engine_state(places)
    assert found.state == BROKEN
    assert found.why == "sd-scripts needs torchvision. Put a wheel in a folder."
    monkeypatch.setattr(environment, "ensure_torchvision", lambda *_: None)
    assert environment.install(places, report).state == READY


def test_what_could_not_be_fetched_is_missing_and_not_broken(
    places: Places, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise CopierError("git failed: could not resolve host.", "Try again on a better line.")

    monkeypatch.setattr(vendor, "fetch", fail)
    with pytest.raises(CopierError):
        environment.install(places, report)
    found = engine_state(places)
    assert found.state == MISSING
    assert found.why == "git failed: could not resolve host. Try again on a better line."


def test_a_killed_set_up_is_seen(places: Places, report: Report, asked: list[Any]) -> None:
    environment.install(places, report)
    places.write_record(doing="Installing the packages that sd-scripts pins")
    found = engine_state(places)
    assert found.state == BROKEN
    assert "interrupted" in found.why


def test_while_it_is_made_the_state_says_what_is_done(places: Places) -> None:
    places.write_record(doing="Fetching sd-scripts")
    with locked(places.lock):
        found = engine_state(places)
    assert (found.state, found.why) == (MAKING, "Fetching sd-scripts …")


def test_another_commit_in_our_folder_is_broken(
    places: Places, report: Report, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.install(places, report)
    monkeypatch.setattr(vendor, "current_commit", lambda folder: "1" * 40)
    found = engine_state(places)
    assert found.state == BROKEN
    assert vendor.COMMIT in found.why


def test_a_checkout_of_the_user_is_used_and_stays(
    places: Places, report: Report, asked: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = put_scripts(tmp_path / "my own")
    monkeypatch.setattr(vendor, "current_commit", lambda folder: "1" * 40)
    found = environment.install(places, report, folder=mine)
    assert (found.state, found.folder) == (READY, mine)
    assert any("1" * 40 in note for note in found.notes), "another commit works, but is told"
    environment.remove(places, report)
    assert mine.exists()


def test_a_folder_without_the_scripts_is_refused(places: Places, report: Report, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train_network.py"):
        environment.install(places, report, folder=tmp_path)
    assert engine_state(places).state == MISSING


def test_missing_scripts_are_named(places: Places, report: Report, asked: list[Any]) -> None:
    environment.install(places, report)
    (places.vendored / SCRIPTS[2]).unlink()
    found = engine_state(places)
    assert found.state == BROKEN
    assert SCRIPTS[2] in found.why


def test_a_checkout_of_the_user_is_not_to_be_removed(
    places: Places, report: Report, asked: list[Any], tmp_path: Path
) -> None:
    mine = put_scripts(tmp_path / "my own")
    environment.install(places, report, folder=mine)
    (mine / SCRIPTS[2]).unlink()
    assert engine_state(places).why.endswith(
        "Name a whole checkout: `python run.py engine install --folder FOLDER`."
    )


def test_new_pins_in_the_checkout_make_it_broken(places: Places, report: Report, asked: list[Any]) -> None:
    environment.install(places, report)
    (places.vendored / "requirements.txt").write_text("diffusers==0.99\n")
    assert engine_state(places).state == BROKEN


def test_a_python_of_the_user_needs_no_environment(
    places: Places, report: Report, asked: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.touch()
    monkeypatch.setenv(PYTHON_VARIABLE, str(python))
    assert environment.install(places, report).state == READY
    assert asked == []
    python.unlink()
    assert engine_state(places).state == BROKEN


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"'])
def test_a_damaged_record_is_no_record(places: Places, text: str) -> None:
    places.vendor.mkdir(parents=True)
    places.record.write_text(text)
    assert engine_state(places).state == MISSING


def test_the_command_prints_one_object(
    places: Places, asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine_command, "own_places", lambda: places)
    assert engine_command.main(["status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["state"] == MISSING
    assert engine_command.main(["install", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["commit"]) == (READY, vendor.COMMIT)
    assert engine_command.main(["status"]) == 0
    assert "ready" in capsys.readouterr().out


def test_wheels_named_at_the_front_door_reach_the_set_up(
    places: Places, asked: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine_command, "own_places", lambda: places)
    monkeypatch.setenv(WHEELS, str(tmp_path))
    assert engine_command.main(["install"]) == 0
    assert asked[0].wheels == tmp_path


def test_packages_that_do_not_import_together_are_seen_at_once(tmp_path: Path) -> None:
    folder, log = put_scripts(tmp_path / "sd 本家"), tmp_path / "log"
    inside = Inside(Path(sys.executable), "3.11.7", tmp_path, True, True)
    environment.check_start(inside, folder, log)
    (folder / MERGE).write_text("raise ImportError('No module named torchvision.ops')\n")
    with pytest.raises(ChildError, match=r"does not start: ImportError: No module named torchvision.ops\."):
        environment.check_start(inside, folder, log)
    assert "Traceback" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("torch", "release"), [("2.13.0+cpu", "0.28"), ("2.1.2", "0.16"), ("2.14.1+cu130", "0.29")]
)
def test_torchvision_goes_in_step_with_torch(torch: str, release: str) -> None:
    assert vision.matching_release(torch) == f"torchvision=={release}.*"
    for arguments in vision.attempts(torch):
        assert "--no-deps" in arguments, "it must never replace torch"
