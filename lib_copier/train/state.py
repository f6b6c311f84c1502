"""The state of a run on disk: what an interrupted training needs to end as an unbroken one would."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lib_copier.files.disk import replacing
from lib_copier.settings.training import can_go_on
from lib_copier.train.config import TrainConfig
from lib_copier.train.step import TrainingStep

_VERSION = 2
_FILES = ("state.pt", "state.previous.pt")
"""The newest state, and the one before it in case the newest cannot be read."""

_WITHOUT_EFFECT = frozenset(
    {
        *("output", "work_dir", "save_precision", "metadata", "cuda_graph", "state_every"),
        *("sample_every", "sample_prompts", "copied_psnr", "stop_after", "keep_state"),
    }
)
"""Settings that change no weight: with them changed a run may still go on from its state."""


@dataclass(frozen=True)
class SavedState:
    """A state that was read: the number of finished steps, and what to put back."""

    step: int
    threads: int
    content: Mapping[str, Any]


def run_digest(config: TrainConfig) -> str:
    """Digest of all that decides the weights: settings, the pictures' bytes, the models' size and time."""
    settings = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in _WITHOUT_EFFECT
    }
    settings["warmup_steps"] = config.own_warmup
    if can_go_on(config.lr_scheduler):
        del settings["steps"]
    pictures = [
        hashlib.sha256(file.read_bytes()).hexdigest()
        for picture in config.pictures
        for file in (picture.path, picture.mask, picture.origin)
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


class StateKeeper:
    """Saves and finds the states of one run, and adds up its time over all attempts."""

    def __init__(self, config: TrainConfig) -> None:
        self._folder = config.work_dir
        self._steps = config.last_step
        self._digest = run_digest(config)
        self._seconds_before = 0.0
        self._began = time.monotonic()

    def seconds(self) -> float:
        """Time of this run so far, with the attempts before."""
        return self._seconds_before + time.monotonic() - self._began

    def save(self, step: int, training: TrainingStep, course: Mapping[str, Any]) -> None:
        """Write the state after `step` finished steps; the one before stays until the new one is whole.

        `course` is what the course through the steps needs to go on.

        Raises
        ------
        OSError
            The disk is full or forbids writing.
        """
        scale = training.updater.scale
        content = {
            "version": _VERSION,
            "digest": self._digest,
            "step": step,
            "threads": torch.get_num_threads(),
            "seconds": self.seconds(),
            "weights": {name: master.detach() for name, master in _named(training)},
            "optimizer": training.updater.optimizer.state_dict(),
            "scale": [scale.value, scale.good_steps],
            "course": course,
        }
        # In memory first: torch turns a full disk into an error that no longer says so.
        buffer = io.BytesIO()
        torch.save(content, buffer)
        newest, previous = (self._folder / name for name in _FILES)
        if newest.exists():
            newest.replace(previous)
        with replacing(newest) as file:
            file.write(buffer.getbuffer())

    def find(self, log: Callable[[str], None]) -> SavedState | None:
        """The newest whole state of this run; what was found is told to `log`."""
        for name in _FILES:
            path = self._folder / name
            if not path.is_file():
                continue
            try:
                content = torch.load(path, map_location="cpu", weights_only=True)
                step, digest = int(content["step"]), content["digest"]
            except Exception as error:  # Whatever a damaged file makes torch raise, the next may be whole.
                log(f"{path.name} cannot be read ({type(error).__name__}) and is left aside.")
                continue
            if digest != self._digest or step >= self._steps:
                which = "of other settings" if digest != self._digest else "of a training as long as this"
                log(f"The saved state is {which}: starting from the first step.")
                return None
            log(f"Going on after step {step}.")
            self._seconds_before = float(content["seconds"])
            return SavedState(step, int(content["threads"]), content)
        return None

    def forget(self) -> None:
        """Remove the states of a run that nobody goes on from."""
        for name in _FILES:
            (self._folder / name).unlink(missing_ok=True)


def restore(training: TrainingStep, saved: SavedState) -> None:
    """Put weights, the optimiser's memory and the loss scale back."""
    weights = saved.content["weights"]
    with torch.no_grad():
        for name, master in _named(training):
            master.copy_(weights[name])
        scale = training.updater.scale
        for tensor, value in zip((scale.value, scale.good_steps), saved.content["scale"], strict=True):
            tensor.copy_(value)
    optimizer = training.updater.optimizer
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(saved.content["optimizer"])
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate  # Of this process: on CUDA a tensor there, which the loop sets each step.


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
