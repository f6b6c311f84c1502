"""What the measuring jobs ask of the generator: settings, requests, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from lib_copier.errors import CancelledError

if TYPE_CHECKING:
    from lib_copier.generate.request import Request
    from lib_copier.models.checkpoint import Checkpoint

WeightedFile = tuple[Path, float]
Progress = Callable[[int, int], None]
"""(steps done, steps in all)."""


class PictureMaker(Protocol):
    """The generator as the measures see it: requests in, pictures out in the same order."""

    def generate(
        self,
        requests: Sequence[Request],
        *,
        on_progress: Progress | None = None,
        on_step: Callable[[], None] | None = None,
    ) -> list[Image.Image]:
        """Make the pictures in batches; `on_step` is called before every pass and may raise to stop."""
        ...


@dataclass(frozen=True)
class PromptSeed:
    """A prompt and a seed that no training saw: one picture, at any weight."""

    prompt: str
    seed: int


@dataclass(frozen=True)
class Sampling:
    """How the pictures of a measurement are generated."""

    width: int
    height: int
    negative_prompt: str = ""
    steps: int = 20
    cfg_scale: float = 7.0
    clip_skip: int = 1
    sampler: str = "Euler a"

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Sampling:
        """Read the entries of a job's ``sampling`` object."""
        return Sampling(**{name: value[name] for name in Sampling.__dataclass_fields__ if name in value})


def request(sampling: Sampling, pair: PromptSeed, loras: Sequence[WeightedFile]) -> Request:
    """The request for one picture with these LoRAs; one at weight 0 stays in, so that all weights batch."""
    from lib_copier.generate.request import LoraUse, Request

    return Request(
        prompt=pair.prompt,
        negative_prompt=sampling.negative_prompt,
        seed=pair.seed,
        width=sampling.width,
        height=sampling.height,
        steps=sampling.steps,
        cfg_scale=sampling.cfg_scale,
        clip_skip=sampling.clip_skip,
        sampler=sampling.sampler,
        loras=tuple(LoraUse(path, weight) for path, weight in loras),
    )


def open_checkpoint(job: Mapping[str, Any], parts: tuple[str, ...] = ("unet", "vae", "text")) -> Checkpoint:
    """Load the checkpoint that a job names, with its VAE, prediction type, device and precision."""
    from lib_copier.models.checkpoint import load_checkpoint
    from lib_copier.models.device import choose_device, choose_dtype

    device = choose_device(job.get("device", "auto"))
    return load_checkpoint(
        Path(job["checkpoint"]),
        vae=Path(job["vae"]) if job.get("vae") else None,
        prediction=job.get("prediction", "auto"),
        device=device,
        dtype=choose_dtype(job.get("precision", "auto"), device),
        parts=parts,
    )


def stop_when_asked() -> Callable[[], None]:
    """A function that raises CancelledError once the parent process asks to stop."""
    from lib_copier.train.control import StopRequests

    requests = StopRequests.from_environment()

    def look() -> None:
        if requests.wish() is not None:
            raise CancelledError

    return look


def open_generator(checkpoint: Checkpoint) -> PictureMaker:
    """The embedded generator on a loaded checkpoint."""
    from lib_copier.generate.generator import Generator

    return Generator(checkpoint)
