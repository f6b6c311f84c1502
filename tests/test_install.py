"""The WebUI's start-up hook: nothing unasked, quick, never in the way of a start."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from lib_copier.engines import state
from lib_copier.engines.state import Places
from lib_copier.environment.pins import ROOT


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("start_up_hook", ROOT / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(state, "own_places", lambda: Places(tmp_path / "vendor"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    return module


@pytest.fixture
def started(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    calls: list[object] = []
    monkeypatch.setattr(hook, "_start_setup", calls.append)
    return calls


ASKED = {"COPIER_LORA_ENGINE": "sd-scripts"}


@pytest.mark.parametrize("environ", [{}, {"COPIER_LORA_ENGINE": "embedded"}])
def test_nothing_is_fetched_unasked(
    hook: ModuleType, started: list[object], environ: dict[str, str], tmp_path: Path
) -> None:
    assert hook.main(environ) == 0
    assert started == []
    assert not (tmp_path / "vendor").exists()


def test_by_a_setting_the_first_start_sets_it_up_and_the_next_does_not(
    hook: ModuleType, started: list[object]
) -> None:
    assert hook.main(ASKED) == 0
    assert hook.main(ASKED) == 0
    assert len(started) == 1


def test_a_day_later_it_is_tried_again(hook: ModuleType, started: list[object], tmp_path: Path) -> None:
    hook.main(ASKED)
    long_ago = time.time() - hook.RETRY_SECONDS - 1
    os.utime(tmp_path / "vendor" / "tried", (long_ago, long_ago))
    hook.main(ASKED)
    assert len(started) == 2


def test_who_wants_no_installs_gets_none(hook: ModuleType, started: list[object], tmp_path: Path) -> None:
    assert hook.main({**ASKED, "COMMANDLINE_ARGS": "--xformers --skip-install"}) == 0
    assert started == []
    assert not (tmp_path / "vendor").exists()


def test_as_the_host_runs_it(tmp_path: Path) -> None:
    """From another folder, with the host's PYTHONPATH: exit code 0, and quick."""
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "COPIER_LORA_ENGINE": ""}
    started_at = time.monotonic()
    argv = [sys.executable, str(ROOT / "install.py")]
    ended = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert time.monotonic() - started_at < 5


def test_whatever_is_wrong_the_host_starts(tmp_path: Path) -> None:
    (tmp_path / "lib_copier").mkdir()
    (tmp_path / "lib_copier" / "__init__.py").write_text("raise RuntimeError('a damaged copy')")
    copy = tmp_path / "install.py"
    copy.write_text((ROOT / "install.py").read_text(encoding="utf-8"), encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | ASKED
    argv = [sys.executable, str(copy)]
    ended = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert "a damaged copy" in ended.stdout
