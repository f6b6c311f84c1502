"""Tiny checkpoints and a generator for each family, made once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib_copier.generate.generator import Generator
from lib_copier.lora.file import write_lora
from lib_copier.model_file.families import FAMILIES
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.tiny import random_checkpoint, random_lora


@pytest.fixture(scope="session")
def checkpoint_path(tmp_path_factory) -> Callable[[str], Path]:
    """The file of a family's tiny checkpoint."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def make(family: str = "sd1") -> Path:
        path = folder / f"{family}.safetensors"
        return path if path.exists() else random_checkpoint(path, FAMILIES[family])

    return make


@pytest.fixture(scope="session")
def generator(checkpoint_path) -> Callable[[str], Generator]:
    """A family's generator."""
    known: dict[str, Generator] = {}

    def make(family: str = "sd1") -> Generator:
        if family not in known:
            known[family] = Generator(load_checkpoint(checkpoint_path(family)))
        return known[family]

    return make


@pytest.fixture(scope="session")
def lora_path(generator, tmp_path_factory) -> Callable[[str, int], Path]:
    """A LoRA file for a family, another for each seed."""
    folder = tmp_path_factory.mktemp("loras")

    def make(family: str = "sd1", seed: int = 1) -> Path:
        path = folder / f"{family}-{seed}.safetensors"
        if not path.exists():
            write_lora(random_lora(generator(family).checkpoint, seed=seed), path, "float", {})
        return path

    return make
