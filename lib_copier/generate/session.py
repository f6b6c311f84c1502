"""A model by what was asked for, and pictures from it as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_copier.generate.generator import Generator, Progress
from lib_copier.image.files import write_png
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.device import choose_device, choose_dtype, tell_device
from lib_copier.txt2img.infotext import PNG_KEY, write_infotext
from lib_copier.txt2img.pictures import PictureRequest, check_requests


@dataclass(frozen=True)
class ModelChoice:
    """Which model to generate with, where, and in which number format."""

    checkpoint: Path
    vae: Path | None = None
    prediction: str = "auto"
    device: str = "auto"
    precision: str = "auto"


def generate(
    choice: ModelChoice,
    requests: Sequence[PictureRequest],
    paths: Sequence[Path],
    *,
    on_progress: Progress | None = None,
    walks: Sequence[Path] = (),
) -> list[Path]:
    """Make one PNG for each request, with its infotext; `walks`: one file for the way to each, or none.

    Raises
    ------
    InputError
        As `Generator.generate` says, or where the model cannot be loaded.
    """
    check_requests(requests, paths)
    device = choose_device(choice.device)
    tell_device(device)
    checkpoint = load_checkpoint(
        choice.checkpoint,
        vae=choice.vae,
        prediction=choice.prediction,
        device=device,
        dtype=choose_dtype(choice.precision, device),
    )
    generator = Generator(checkpoint)
    keep = (lambda number, walk: walk.write(walks[number])) if walks else None
    pictures = generator.generate(requests, on_progress=on_progress, on_walk=keep)
    for picture, request, path in zip(pictures, requests, paths, strict=True):
        hashes = generator.lora_hashes(request)
        text = write_infotext(request, choice.checkpoint.stem, checkpoint.sha256, hashes)
        write_png(picture, path, {PNG_KEY: text})
    return list(paths)
