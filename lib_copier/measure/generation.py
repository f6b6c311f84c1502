"""What the measuring jobs ask of the generator: the pictures of a job, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from lib_copier.border import events
from lib_copier.errors import CancelledError
from lib_copier.txt2img.pictures import LoraUse, PictureRequest, check_requests

if TYPE_CHECKING:
    from lib_copier.models.checkpoint import Checkpoint

Progress = Callable[[int, int], None]
"""(steps done, steps in all)."""


class PictureMaker(Protocol):
    """The generator as the measures see it: requests in, pictures out in the same order."""

    def generate(
        self,
        requests: Sequence[PictureRequest],
        *,
        on_progress: Progress | None = None,
        on_step: Callable[[], None] | None = None,
    ) -> list[Image.Image]:
        """Make the pictures in batches; `on_step` is called before every pass and may raise to stop."""
        ...


def job_pictures(job: Mapping[str, Any], origin: Image.Image) -> list[PictureRequest]:
    """The pictures that a job asks for, its base LoRAs on each; the size defaults to the origin's.

    Raises
    ------
    FaultsError
        Where they cannot be made: all reasons, before a model is loaded.
    """
    from lib_copier.generate.shelf import require_fit

    common = {"width": origin.width, "height": origin.height, **(job.get("sampling") or {})}
    base = [{"weight": 1.0, **lora} for lora in job.get("base_loras") or ()]
    requests = [
        PictureRequest.from_mapping({**common, **pair, "loras": [*base, *pair.get("loras", ())]})
        for pair in job["prompts"]
    ]
    check_requests(requests)
    require_fit(Path(job["checkpoint"]), [use.path for one in requests for use in one.loras])
    return requests


def with_lora(request: PictureRequest, path: Path, weight: float) -> PictureRequest:
    """The same picture with one more LoRA."""
    return replace(request, loras=(*request.loras, LoraUse(path, weight)))


def counted(progress: Progress, before: int, count: int, total: int) -> Progress:
    """Progress of a call that makes `count` of `total` pictures, after `before` others: told in pictures."""
    return lambda done, of: progress(before + count * done // max(1, of), total)


def open_checkpoint(job: Mapping[str, Any], parts: tuple[str, ...] = ("unet", "vae", "text")) -> Checkpoint:
    """Load the checkpoint that a job names, with its VAE, prediction type, device and precision."""
    from lib_copier.models.checkpoint import load_checkpoint
    from lib_copier.models.device import choose_device, choose_dtype, tell_device
    from lib_copier.models.threads import settle_threads

    settle_threads()
    events.emit("loading")
    device = choose_device(job.get("device", "auto"))
    tell_device(device)
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
