"""Scenes drawn in code, for every test of pictures."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("scenes", Path(__file__).with_name("scenes.py"))
_scenes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_scenes)


@pytest.fixture(scope="session")
def scene():
    """scene(seed, side=128) → a picture of shaded shapes with dark outlines."""
    return _scenes.scene
