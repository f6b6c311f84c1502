"""Tiny checkpoints of every family, made once a session, and LoRAs for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lib_copier.families import FAMILIES
from lib_copier.lora.layer import Layer, Lora
from lib_copier.models.attach import lora_targets
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


def random_lora(checkpoint: Checkpoint, *, seed: int = 0, rank: int = 2, strength: float = 0.3) -> Lora:
    """A LoRA on every module that can have one."""
    random = np.random.default_rng(seed)
    layers = {}
    for name, module in lora_targets(checkpoint, with_convolutions=True).items():
        out, into, *kernel = module.weight.shape
        down = random.standard_normal((rank, into, *kernel)).astype(np.float32)
        up = random.standard_normal((out, rank, *[1] * len(kernel))).astype(np.float32)
        size = strength / (down[0].size * rank) ** 0.5
        layers[name] = Layer(up * np.float32(size), down, alpha=rank / 2 if seed % 2 else None)
    return Lora(layers, family=checkpoint.family)
