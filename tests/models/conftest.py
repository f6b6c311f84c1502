"""Tiny checkpoints of every family, made once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib_copier.model_file.families import FAMILIES
from lib_copier.models.checkpoint import Checkpoint, load_checkpoint
from lib_copier.models.tiny import random_checkpoint


@pytest.fixture(scope="session")
def checkpoint_path(tmp_path_factory) -> Callable[..., Path]:
    """The file of a family's tiny checkpoint, with markers such as ``v_pred``."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def make(family: str = "sd1", *markers: str) -> Path:
        path = folder / f"{'-'.join((family, *markers))}.safetensors"
        return path if path.exists() else random_checkpoint(path, FAMILIES[family], markers=markers)

    return make


@pytest.fixture(scope="session")
def loaded(checkpoint_path) -> Callable[..., Checkpoint]:
    """A loaded checkpoint that tests leave as it is."""
    known: dict[str, Checkpoint] = {}

    def load(family: str = "sd1") -> Checkpoint:
        if family not in known:
            known[family] = load_checkpoint(checkpoint_path(family))
        return known[family]

    return load
