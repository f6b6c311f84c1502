"""How well a picture is learned in the same number of steps: each engine by its own command and draws."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lib_copier.engines.embedded import EmbeddedEngine
from lib_copier.engines.listening import Watch
from lib_copier.engines.process import run_command
from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.engines.task import Engine
from lib_copier.settings.training import TrainTask
from lib_copier.train.config import parse_config
from lib_copier.train.feed import Feed
from lib_copier.train.prepare import prepare

_DRAWS = 32
_SEED = 987_654
"""Judged by noise that neither engine trained with."""


def compare_copiers(engine: SdScriptsEngine, task: TrainTask, folder: Path) -> dict[str, Any]:
    """Mean squared error of the predicted noise on the picture, of the base model and with each copier."""
    folder.mkdir()
    found: dict[str, Any] = {"steps": task.steps, "draws": _DRAWS, "base": _noise_error(task, None)}
    engines: tuple[tuple[str, Engine], ...] = (("embedded", EmbeddedEngine()), ("sd_scripts", engine))
    for name, one in engines:
        own = replace(task, output=folder / f"{name}.safetensors")
        run_command(one.command(own, folder / name), Watch(folder / f"{name}.txt"))
        found[name] = _noise_error(task, own.output)
    return found


def copier_lines(found: Mapping[str, Any]) -> list[str]:
    """The figures as text."""
    return [
        f"a copier after {found['steps']} steps, each engine by its own command: error of the predicted "
        f"noise over {found['draws']} unseen draws: base model {found['base']:.5f}, embedded "
        f"{found['embedded']:.5f}, sd-scripts {found['sd_scripts']:.5f}"
    ]


def _noise_error(task: TrainTask, lora: Path | None) -> float:
    """The plain loss of the picture at fixed draws, spread evenly over all time steps."""
    config = parse_config(
        {
            "checkpoint": str(task.checkpoint),
            "output": str(task.output),
            "pictures": [
                {"path": str(picture.path), "caption": picture.caption} for picture in task.pictures
            ],
            "base_loras": [{"path": str(lora), "weight": 1.0}] if lora is not None else [],
            "work_dir": str(task.output.parent / "judged"),
            "rank": 1,
            "alpha": 1.0,
            "train_text_encoder": False,
            "shuffle_caption": False,
            "timestep_sampling": "stratified",
            "steps": _DRAWS,
            "warmup_steps": 0,
            "precision": "fp32",
            "device": task.device,
            "seed": _SEED,
        }
    )
    run = prepare(config, log=lambda text: None)
    # The new LoRA's up-matrices are zero: what is measured is the model with the copier alone.
    run.step.network.publish()
    feed = Feed(config, run)
    with torch.no_grad():
        error = sum(float(run.step.loss(feed.batch(step))) for step in range(_DRAWS)) / _DRAWS
    del run, feed
    gc.collect()
    return error
