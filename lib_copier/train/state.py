"""The state of a run on disk: what an interrupted training needs to end as an unbroken one would."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lib_copier.lora.atomic import replacing
from lib_copier.train.config import TrainConfig
from lib_copier.train.step import TrainingStep

_VERSION = 1
_FILES = ("state.pt", "state.previous.pt")
"""The newest state, and the one before it in case the newest cannot be read."""

_WITHOUT_EFFECT = frozenset(
    [
        "output",
        "work_dir",
        "save_precision",
        "cuda_graph",
        "sample_every",
        "sample_prompts",
        "state_every",
        "copied_psnr",
        "copied_every",
        "metadata",
    ]
)
"""Settings that change no weight: with them changed a run may still go on from its state."""


@dataclass(frozen=True)
class SavedState:
    """A state that was read: the number of finished steps, and what to put back."""

    step: int
    threads: int
    seconds: float
    content: Mapping[str, Any]


def run_digest(config: TrainConfig) -> str:
    """Digest of all that decides the weights: settings, the pictures' bytes, the models' size and time."""
    settings = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in _WITHOUT_EFFECT
    }
    if config.lr_scheduler == "constant":
        del settings["steps"]  # More steps of the same: the run can simply be made longer.
    pictures = [
        hashlib.sha256(file.read_bytes()).hexdigest()
        for picture in config.pictures
        for file in (picture.path, picture.mask)
        if file is not None
    ]
    models = [
        (found.st_size, found.st_mtime_ns)
        for found in (
            file.stat()
            for file in (config.checkpoint, config.vae, *(lora.path for lora in config.base_loras))
            if file is not None
        )
    ]
    told = json.dumps([_VERSION, settings, pictures, models], default=_plain, sort_keys=True)
    return hashlib.sha256(told.encode("utf-8")).hexdigest()


def save_state(work_dir: Path, digest: str, step: int, training: TrainingStep, *, seconds: float) -> None:
    """Write the state after `step` finished steps; the one before stays until the new one is whole.

    Parameters
    ----------
    seconds:
        Training time so far, over all attempts.

    Raises
    ------
    OSError
        The disk is full or forbids writing.
    """
    scale = training.updater.scale
    content = {
        "version": _VERSION,
        "digest": digest,
        "step": step,
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "weights": {name: master.detach() for name, master in _named(training)},
        "optimizer": training.updater.optimizer.state_dict(),
        "scale": [scale.value, scale.good_steps],
    }
    # In memory first: torch turns a full disk into an error that no longer says so.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    newest, previous = (work_dir / name for name in _FILES)
    if newest.exists():
        newest.replace(previous)
    with replacing(newest) as file:
        file.write(buffer.getbuffer())


def read_state(work_dir: Path, digest: str) -> tuple[SavedState | None, str]:
    """The newest state of this run, and a sentence on what was found (empty where there was none)."""
    note = ""
    for name in _FILES:
        path = work_dir / name
        if not path.is_file():
            continue
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            is_ours = content["version"] == _VERSION and content["digest"] == digest
        except Exception as error:  # Whatever a damaged file makes torch raise, the next one may be whole.
            note = f"{path.name} cannot be read ({type(error).__name__}) and is left aside."
            continue
        if not is_ours:
            return None, "The saved state belongs to other settings: starting from the first step."
        step = int(content["step"])
        found = SavedState(step, int(content["threads"]), float(content["seconds"]), content)
        return found, f"{note} Going on after step {step}.".strip()
    return None, note


def restore(training: TrainingStep, saved: SavedState) -> None:
    """Put weights, the optimiser's memory and the loss scale back."""
    weights = saved.content["weights"]
    with torch.no_grad():
        for name, master in _named(training):
            master.copy_(weights[name])
        scale = training.updater.scale
        for tensor, value in zip((scale.value, scale.good_steps), saved.content["scale"], strict=True):
            tensor.copy_(value)
    training.updater.optimizer.load_state_dict(saved.content["optimizer"])


def remove_state(work_dir: Path) -> None:
    """Forget a run that has ended."""
    for name in _FILES:
        (work_dir / name).unlink(missing_ok=True)


def _named(training: TrainingStep) -> list[tuple[str, torch.Tensor]]:
    return [
        (f"{layer.name}.{part}", master)
        for layer in training.network.layers
        for part, master in zip(("down", "up"), layer.masters, strict=True)
    ]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
