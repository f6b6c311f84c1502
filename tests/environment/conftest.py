"""A set-up without pip and without network: pip's runs are recorded, packages appear as metadata folders."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lib_copier.environment import make
from lib_copier.environment.interpreter import Inside
from lib_copier.environment.pins import package_name, pinned_version
from lib_copier.environment.pip import PipResult
from lib_copier.environment.report import Report
from lib_copier.environment.stamp import python_of

DEAD = "WARNING: Retrying after NewConnectionError: [Errno -3] Temporary failure in name resolution"


def _put_package(site_packages: Path, name: str, version: str) -> Path:
    """Make a distribution's metadata, which is all that the set-up looks at."""
    folder = site_packages / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder


@dataclass
class FakePip:
    """Stands in for `run_pip`: installs what it is asked for, unless it is told to fail."""

    site_packages: Path
    runs: list[tuple[str, ...]] = field(default_factory=list)
    requirements: list[list[str]] = field(default_factory=list)
    constraints: list[list[str]] = field(default_factory=list)
    fails: Callable[[Sequence[str]], bool] = lambda arguments: False
    output: tuple[str, ...] = (DEAD,)

    def __call__(self, python: Path, arguments: Sequence[str], *, log: Path, report: Report) -> PipResult:
        self.runs.append(tuple(arguments))
        lines: list[str] = [word for word in arguments if "==" in word]
        if "-r" in arguments:
            listed = Path(arguments[list(arguments).index("-r") + 1]).read_text().splitlines()
            bounds = Path(arguments[list(arguments).index("-c") + 1]).read_text().splitlines()
            self.requirements.append(listed)
            self.constraints.append(bounds)
            lines += listed
        if self.fails(arguments):
            return PipResult(1, self.output)
        if arguments[0] == "uninstall":
            for folder in self.site_packages.glob(f"{arguments[-1]}-*.dist-info"):
                (folder / "METADATA").unlink()
                folder.rmdir()
        for line in lines:
            _put_package(self.site_packages, package_name(line), pinned_version(line) or "1")
        return PipResult(0, ())


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment's folder whose interpreter is a stand-in."""
    folder = tmp_path / "pröject dir" / ".venv"
    python = python_of(folder)
    site_packages = folder / "site-packages"

    def ensure(*_: object) -> Inside:
        python.parent.mkdir(parents=True, exist_ok=True)
        site_packages.mkdir(parents=True, exist_ok=True)
        python.touch()
        return Inside(python, "3.11.7", site_packages, True, True)

    folder.parent.mkdir()
    monkeypatch.setattr(make, "ensure_interpreter", ensure)
    monkeypatch.delenv("COPIER_LORA_TORCH", raising=False)
    return folder


@pytest.fixture
def pip(environment: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    fake = FakePip(environment / "site-packages")
    monkeypatch.setattr(make, "run_pip", fake)
    return fake


@pytest.fixture
def put_package() -> Callable[..., Path]:
    """Makes a distribution's metadata: folder, name, version."""
    return _put_package


@pytest.fixture
def report() -> Report:
    return Report(io.StringIO())


@pytest.fixture
def base_python() -> Path:
    """The interpreter under the one that runs the tests."""
    return Path(getattr(sys, "_base_executable", sys.executable))
