"""Tiny checkpoints, pictures and configurations, made once a session."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_copier.model_file.families import SD1, SD2, SDXL
from lib_copier.models.tiny import TINY, random_checkpoint
from lib_copier.train.config import TrainConfig, parse_config
from lib_copier.train.control import StopRequests
from lib_copier.train.loop import TrainResult, train

_TWO_LEVELS = dataclasses.replace(TINY["sd1"], channels=(32, 64), depths=(1, 0))
"""Fewer levels than any real model: most tests run many steps and care about none of the sizes."""

FAMILIES = {"sd1": SD1, "sd2": SD2, "sdxl": SDXL}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Callable[..., Path]:
    """Make (once) the tiny checkpoint of a family, with markers such as ``v_pred``."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def make(family: str = "sd1", *markers: str) -> Path:
        path = folder / f"{'-'.join((family, *markers))}.safetensors"
        size = _TWO_LEVELS if family == "sd1" else None
        return (
            path if path.exists() else random_checkpoint(path, FAMILIES[family], size=size, markers=markers)
        )

    return make


@pytest.fixture(scope="session")
def write_picture() -> Callable[..., Path]:
    """Write a smooth coloured picture, another for each seed."""

    def write(path: Path, seed: int, size: tuple[int, int] = (64, 64)) -> Path:
        x, y = np.meshgrid(np.linspace(0, 3, size[0]), np.linspace(0, 3, size[1]))
        shades = [127 + 120 * np.sin(x * (seed + 1) + channel) * np.cos(y + seed) for channel in range(3)]
        Image.fromarray(np.stack(shades, axis=-1).astype(np.uint8)).save(path)
        return path

    return write


@pytest.fixture
def make_config(tmp_path: Path, checkpoints, write_picture) -> Callable[..., TrainConfig]:
    """A small, fast configuration; keyword arguments are JSON values that take the place of its own."""

    def make(**changes) -> TrainConfig:
        picture = tmp_path / "origin.png"
        if not picture.exists():
            write_picture(picture, 1)
        values = {
            "checkpoint": str(checkpoints()),
            "output": str(tmp_path / "lora.safetensors"),
            "pictures": [{"path": str(picture), "caption": "cat, red hat, outdoors"}],
            "work_dir": str(tmp_path / "work"),
            "rank": 4,
            "alpha": 4,
            "steps": 6,
            "warmup_steps": 2,
            "learning_rate": 1e-3,
            "train_text_encoder": False,
            "device": "cpu",
            "save_precision": "float",
        }
        return parse_config(values | changes)

    return make


@pytest.fixture
def run() -> Callable[..., TrainResult]:
    """Train without any wish to stop, or with the wishes given."""

    def start(config: TrainConfig, stop: StopRequests | None = None, log=lambda text: None) -> TrainResult:
        return train(config, stop=stop or StopRequests(None), log=log)

    return start
