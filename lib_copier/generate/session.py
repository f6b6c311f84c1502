"""One loaded model at a time, and pictures from it as files."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from lib_copier.errors import InputError
from lib_copier.generate.generator import Generator, Progress
from lib_copier.image.files import write_png
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.device import choose_device, choose_dtype
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


class Session:
    """Holds the model of the last choice; `free` lets go of it until the next pictures are asked for."""

    def __init__(self) -> None:
        self._choice: ModelChoice | None = None
        self._state: tuple[int, ...] = ()
        self._generator: Generator | None = None
        self._sha256 = ""

    @property
    def is_loaded(self) -> bool:
        return self._generator is not None

    def load(self, choice: ModelChoice) -> Generator:
        """The generator for a choice; kept where it is loaded already and the files have not changed."""
        state = _file_state(choice)
        if self._generator is not None and (choice, state) == (self._choice, self._state):
            return self._generator
        self.free()
        if (choice, state) != (self._choice, self._state):
            self._sha256 = ""
        self._choice, self._state = choice, state
        device = choose_device(choice.device)
        checkpoint = load_checkpoint(
            choice.checkpoint,
            vae=choice.vae,
            prediction=choice.prediction,
            device=device,
            dtype=choose_dtype(choice.precision, device),
        )
        self._generator = Generator(checkpoint)
        return self._generator

    def free(self) -> None:
        """Give back all memory of the model, on the GPU too."""
        self._generator = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def generate(
        self,
        requests: Sequence[PictureRequest],
        paths: Sequence[Path],
        *,
        on_progress: Progress | None = None,
        on_step: Callable[[], None] | None = None,
    ) -> list[Path]:
        """Make one PNG for each request, with its infotext.

        Raises
        ------
        InputError
            If no model has been chosen, or as `Generator.generate` says.
        """
        if self._choice is None:
            raise InputError("No checkpoint is loaded.", "Send a load request first.")
        check_requests(requests, paths)
        generator = self.load(self._choice)
        pictures = generator.generate(requests, on_progress=on_progress, on_step=on_step)
        if not self._sha256:
            self._sha256 = generator.checkpoint.sha256
        for picture, request, path in zip(pictures, requests, paths, strict=True):
            hashes = generator.lora_hashes(request)
            text = write_infotext(request, self._choice.checkpoint.stem, self._sha256, hashes)
            write_png(picture, path, {PNG_KEY: text})
        return list(paths)


def peak_memory() -> dict[str, int]:
    """The most memory this process has held, in bytes: its own, and what torch took on the GPU."""
    info = psutil.Process().memory_info()
    held = getattr(info, "peak_wset", 0)
    if not held:
        import resource

        # Kilobytes on Linux, bytes on macOS.
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return {"peak_bytes": held, "peak_gpu_bytes": gpu}


def _file_state(choice: ModelChoice) -> tuple[int, ...]:
    """What changes when a model file is replaced; nothing where it is missing, which loading reports."""
    found: list[int] = []
    for path in (choice.checkpoint, choice.vae):
        if path is not None and path.is_file():
            state = path.stat()
            found += [state.st_mtime_ns, state.st_size]
    return tuple(found)
