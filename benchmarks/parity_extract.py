"""Extraction by both engines from a checkpoint and that checkpoint with a known LoRA in it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from benchmarks.files import random_lora
from benchmarks.shapes import SD15
from lib_copier.engines.embedded import EmbeddedEngine
from lib_copier.engines.listening import Watch
from lib_copier.engines.process import run_command
from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.engines.task import Engine, ExtractTask, MergeTask
from lib_copier.lora.file import read_lora
from lib_copier.settings.training import WeightedLora

RANK = 16


def compare_extract(
    engine: SdScriptsEngine, checkpoint: Path, folder: Path, *, seed: int
) -> dict[str, float]:
    """Each engine's relative error against the LoRA that was put in; its rank is the one asked for.

    The merged file is float32, so what is left is what extracting itself loses.
    """
    folder.mkdir()
    known = random_lora(folder / "known.safetensors", SD15, seed=seed, rank=RANK, alpha=float(RANK))
    tuned = folder / "tuned.safetensors"
    embedded = EmbeddedEngine()
    merge = MergeTask((WeightedLora(known),), tuned, checkpoint=checkpoint, save_precision="float")
    run_command(embedded.command(merge, folder), Watch(folder / "log.txt"))
    found: dict[str, float] = {}
    engines: tuple[tuple[str, Engine], ...] = (("embedded", embedded), ("sd_scripts", engine))
    for name, one in engines:
        result = folder / f"{name}.safetensors"
        task = ExtractTask(checkpoint, tuned, result, rank=RANK, min_diff=0.0, save_precision="float")
        run_command(one.command(task, folder), Watch(folder / "log.txt"))
        found[name] = relative_error(result, known)
    tuned.unlink()
    return found


def extract_lines(found: dict[str, float]) -> list[str]:
    """The figures as text."""
    return [
        f"extract of a known rank {RANK} LoRA from two checkpoints: embedded {found['embedded']:.3g} of its "
        f"norm away, sd-scripts {found['sd_scripts']:.3g} (it clamps factor entries at their 0.99 quantile)"
    ]


def relative_error(result: Path, known: Path) -> float:
    """How far a LoRA's changes are from another's, layer by layer, as a part of the other's norm."""
    made, wanted = read_lora(result).layers, read_lora(known).layers
    if made.keys() != wanted.keys():
        return math.inf
    apart = size = 0.0
    for name, layer in wanted.items():
        delta = layer.delta().astype(np.float32)
        gap = made[name].delta().astype(np.float32).reshape(delta.shape) - delta
        apart += float(np.vdot(gap, gap))
        size += float(np.vdot(delta, delta))
    return math.sqrt(apart / size)
