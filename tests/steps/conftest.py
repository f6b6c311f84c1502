"""Projects whose children are played by `stand_in.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from lib_copier.graph.lock import holder
from lib_copier.graph.queue import Queue
from lib_copier.recipe.model import Edit, Origin, Recipe, parse_effects, settings_of
from lib_copier.steps.project import Project

STAND_IN = Path(__file__).parent / "stand_in.py"


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every child is played by the stand-in; device locks are this test's own."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{STAND_IN}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("COPIER_LORA_PYTHON", str(python))
    monkeypatch.setenv("COPIER_LORA_LOCKS", str(tmp_path / "locks"))
    monkeypatch.delenv("COPIER_LORA_CONTROL", raising=False)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A file that stands for a checkpoint: the stand-in never opens it."""
    path = tmp_path / "base.safetensors"
    path.write_bytes(b"weights of the base model")
    return path


@pytest.fixture
def recipe(checkpoint: Path) -> Callable[..., Recipe]:
    """Makes a recipe of one origin and some edits; keyword arguments with __ for dots are settings."""

    def make(
        *, origins: tuple[str, ...] = ("one",), edits: tuple[str, ...] = ("outline",), **settings: Any
    ) -> Recipe:
        made = tuple(Origin(name, settings_of({"prompt": f"a house, {name}"})) for name in origins)
        wanted = tuple(Edit(name, parse_effects(name)) for name in edits)
        values = {key.replace("__", "."): value for key, value in settings.items()}
        return Recipe(made, wanted).with_settings({"project.checkpoint": str(checkpoint), **values})

    return make


@pytest.fixture
def project(tmp_path: Path, recipe: Callable[..., Recipe]) -> Callable[..., Project]:
    """Makes a project of such a recipe."""

    def make(name: str = "slider", **wanted: Any) -> Project:
        return Project.create(tmp_path / name, recipe(**wanted))

    return make


@pytest.fixture
def queue(tmp_path: Path):
    made = Queue(tmp_path / "queue")
    yield made
    for job in made.jobs():
        made.cancel(job.id)
    found = holder(made.worker_lock)
    if found:
        psutil.Process(found["pid"]).wait(30)
