"""Both trainers from the same LoRA, latents, noise and time steps: the first gradient, then more steps."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.parity_copier import compare_copiers, copier_lines
from lib_copier.engines.listening import Watch
from lib_copier.engines.process import run_command
from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.lora.file import read_lora, write_lora
from lib_copier.lora.layer import Layer, Lora
from lib_copier.settings.training import Picture, TrainTask
from lib_copier.train.config import parse_config
from lib_copier.train.feed import Feed
from lib_copier.train.inject import LoraNetwork
from lib_copier.train.prepare import prepare

_REPLAY = Path(__file__).with_name("replay.py")
_UP_DEVIATION = 0.01
"""The up-matrices start small but not at zero: else the first step moves them alone."""
_COPIER_RATE = 1e-3


def compare_training(
    engine: SdScriptsEngine,
    checkpoint: Path,
    folder: Path,
    *,
    steps: int,
    copier_steps: int,
    side: int,
    seed: int,
) -> dict[str, Any]:
    """One step of plain gradient descent (its change is the gradient), then `steps` steps of AdamW.

    Both from the same draws; then a copier by each engine's own draws, judged after `copier_steps` steps.
    """
    task = TrainTask(
        checkpoint=checkpoint,
        output=folder / "trained.safetensors",
        pictures=(Picture(_picture(folder / "picture.png", side), "1girl, solo, outdoors"),),
        rank=16,
        alpha=8.0,
        train_text_encoder=False,
        warmup_steps=0,
        steps=steps,
        shuffle_caption=False,
        precision="fp32",
        save_precision="float",
        device="cpu",
        seed=seed,
        max_grad_norm=0.0,
    )
    found: dict[str, Any] = {"steps": steps, "side": side}
    for name, changed in (
        ("gradient", replace(task, optimizer="sgd", learning_rate=1.0, steps=1)),
        ("adamw", task),
    ):
        found[name] = _compare(engine, changed, folder / name)
    # Free draws need more steps than equal ones until they tell the same.
    found["copier"] = compare_copiers(
        engine, replace(task, learning_rate=_COPIER_RATE, steps=copier_steps), folder / "copier"
    )
    return found


def training_lines(found: Mapping[str, Any]) -> list[str]:
    """The figures as text."""
    first, rest = found["gradient"], found["adamw"]
    quarter = max(1, found["steps"] // 4)
    ours, theirs = (np.mean(rest[name][-quarter:]) for name in ("losses_embedded", "losses_sd_scripts"))
    return [
        f"one step, same start and noise: loss {first['losses_embedded'][0]:.6f} and "
        f"{first['losses_sd_scripts'][0]:.6f}; gradients differ by {first['change_gap']:.2g} of their norm",
        f"{found['steps']} steps of AdamW: mean loss of the last {quarter}: embedded {ours:.6f}, "
        f"sd-scripts {theirs:.6f}; the learned changes differ by {rest['change_gap']:.2g} of their norm",
        f"latents: sd-scripts draws them from the VAE's distribution, {first['latents_gap']:.2g} away from "
        "the mean that the embedded trainer takes (both steps above use the mean)",
        *copier_lines(found["copier"]),
    ]


def _compare(engine: SdScriptsEngine, task: TrainTask, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    start, ours = folder / "start.safetensors", folder / "ours.safetensors"
    losses = _train_embedded(task, folder, start, ours)
    gc.collect()
    record = folder / "losses.json"
    theirs = folder / "theirs.safetensors"
    command = engine.command(replace(task, output=theirs), folder)
    argv = [command.argv[0], str(_REPLAY), str(folder / "draws.safetensors"), str(record), *command.argv[1:]]
    command = replace(command, argv=(*argv, "--network_weights", str(start)))
    run_command(command, Watch(folder / "log.txt"))
    return {
        "losses_embedded": losses,
        "losses_sd_scripts": json.loads(record.read_text(encoding="utf-8")),
        "change_gap": _change_gap(start, ours, theirs),
        "latents_gap": json.loads(record.with_suffix(".latents.json").read_text(encoding="utf-8"))["gap"],
    }


def _train_embedded(task: TrainTask, folder: Path, start: Path, result: Path) -> list[float]:
    """Our steps, one by one; leaves the start, the draws and the result as files."""
    plain = {
        "checkpoint": str(task.checkpoint),
        "output": str(result),
        "pictures": [{"path": str(picture.path), "caption": picture.caption} for picture in task.pictures],
        "work_dir": str(folder / "work"),
    }
    names = ("rank", "alpha", "train_text_encoder", "optimizer", "learning_rate", "warmup_steps", "steps",
             "shuffle_caption", "precision", "device", "seed", "max_grad_norm")  # fmt: skip
    config = parse_config({**plain, **{name: getattr(task, name) for name in names}})
    run = prepare(config, log=lambda text: None)
    _raise_up(run.step.network, task.seed)
    _write(run.step.network, start)
    batches = [Feed(config, run).batch(step) for step in range(task.steps)]
    draws = {
        "latents": run.pictures[0].latents,
        "noise": torch.stack([batch.noise for batch in batches]),
        "timesteps": torch.stack([batch.timesteps for batch in batches]),
    }
    save_file({name: tensor.contiguous() for name, tensor in draws.items()}, folder / "draws.safetensors")
    losses = [float(run.step(batch).loss) for batch in batches]
    _write(run.step.network, result)
    return losses


def _raise_up(network: LoraNetwork, seed: int) -> None:
    with torch.no_grad():
        for index, layer in enumerate(network.layers):
            random = torch.Generator().manual_seed(seed * 10_000 + index)
            layer.masters[1].copy_(_UP_DEVIATION * torch.randn(layer.masters[1].shape, generator=random))


def _write(network: LoraNetwork, path: Path) -> None:
    layers = {
        layer.name: Layer(
            up=layer.masters[1].detach().numpy().copy(),
            down=layer.masters[0].detach().numpy().copy(),
            mid=None,
            alpha=float(layer.alpha),
        )
        for layer in network.layers
    }
    write_lora(Lora(layers), path, "float", {"ss_base_model_version": "sd_v1"})


def _change_gap(start: Path, ours: Path, theirs: Path) -> float:
    """How far our change of the factors is from theirs, as a part of theirs."""
    first, mine, other = (read_lora(path).layers for path in (start, ours, theirs))
    if first.keys() != other.keys():
        return float("inf")
    apart = size = 0.0
    for name, layer in first.items():
        for part in ("up", "down"):
            begun, one, two = (
                np.asarray(getattr(found[name], part), np.float64) for found in (first, mine, other)
            )
            apart += float(np.sum((one - two) ** 2))
            size += float(np.sum((two - begun) ** 2))
        assert layer.alpha == other[name].alpha
    return float(np.sqrt(apart / size))


def _picture(path: Path, side: int) -> Path:
    across, down = np.meshgrid(np.linspace(0, 255, side), np.linspace(0, 255, side))
    pixels = np.stack([across, down, np.abs(across - down)], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path
