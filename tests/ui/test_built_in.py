"""Whether the page offers the set-up: only an environment with our own pins counts as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.environment.pins import package_name, pinned_version, read_pins
from lib_copier.environment.stamp import Stamp, python_of, write_stamp
from lib_copier.ui import built_in


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the environment would be; none is there, and a torch is at hand."""
    monkeypatch.delenv("COPIER_LORA_PYTHON", raising=False)
    monkeypatch.setenv("COPIER_LORA_ENVIRONMENT", str(tmp_path / "own"))
    monkeypatch.setattr(built_in, "find_spec", lambda name: object())
    return tmp_path / "own"


def test_a_webuis_own_packages_are_no_set_up(folder, monkeypatch):
    pins = {package_name(line): pinned_version(line) for line in read_pins("base")}
    monkeypatch.setattr(built_in, "version", lambda name: {"diffusers": "0.31.0"}.get(name, pins[name]))
    assert not built_in.is_ready()
    monkeypatch.setattr(built_in, "version", lambda name: pins[name])
    assert built_in.is_ready()


def test_packages_that_are_missing_are_no_set_up(folder, monkeypatch):
    def missing(name: str) -> str:
        raise built_in.PackageNotFoundError(name)

    monkeypatch.setattr(built_in, "version", missing)
    assert not built_in.is_ready()


def test_an_environment_of_an_older_version_is_set_up_again(folder):
    python_of(folder).parent.mkdir(parents=True)
    python_of(folder).touch()
    assert not built_in.is_ready()
    write_stamp(folder, Stamp("3.11.7", "cpu", groups={"base": ("diffusers==0.30.0",)}))
    assert not built_in.is_ready()
    write_stamp(folder, Stamp("3.11.7", "cpu", groups={"base": read_pins("base")}))
    assert built_in.is_ready()
