"""Pictures from a loaded checkpoint: requests in, images out, what belongs together in one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image

from lib_copier.errors import CopierError, InputError
from lib_copier.generate.guidance import GuidedDenoiser, guided_rows, remembered_text
from lib_copier.generate.prints import PRINTS
from lib_copier.generate.prompts import PromptCache
from lib_copier.generate.samplers import WALKS, time_of
from lib_copier.generate.shelf import LoraShelf
from lib_copier.models.checkpoint import Checkpoint
from lib_copier.models.device import is_out_of_memory
from lib_copier.models.kept import Key
from lib_copier.models.latents import decode_latents, to_images
from lib_copier.models.walks import Walk
from lib_copier.txt2img.pictures import LoraUse, PictureRequest, check_requests

Progress = Callable[[int, int], None]
OnWalk = Callable[[int, Walk], None]

_BATCH_PIXELS = {"cpu": 1 << 20, "cuda": 1 << 21}
"""Pixels of pictures that are made at once: 4 of 512 px or 64 of 128 px on a processor."""
_LARGEST_BATCH = 32
_MERGED_FROM = 4
"""So many pictures with the same LoRAs are a batch of their own: it has them merged, and is large enough."""


class Generator:
    """Generates pictures with one checkpoint, which must have all its parts.

    Encoded prompts and LoRA files are kept for later calls; a LoRA file that changes on disk is read again.
    The model itself is never changed: LoRAs act beside it, so that one batch holds many weights.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._shelf = LoraShelf(checkpoint)
        self._prompts = PromptCache(checkpoint, self._shelf)
        self._schedule = checkpoint.schedule().to("cpu")

    def generate(
        self,
        requests: Sequence[PictureRequest],
        *,
        on_progress: Progress | None = None,
        on_step: Callable[[], None] | None = None,
        on_walk: OnWalk | None = None,
    ) -> list[Image.Image]:
        """Make one picture for each request, in their order.

        A picture does not depend on what else is in the call, up to rounding. A call that was made before
        in this process may be answered with the same pictures (`prints.PRINTS`).

        Parameters
        ----------
        on_progress:
            Called with (steps done, steps in all) over all batches.
        on_step:
            Called before every pass of the U-Net; may raise to stop.
        on_walk:
            Called with each request's number and the way to its picture.

        Raises
        ------
        FaultsError
            If requests cannot be done: all reasons, before anything is computed.
        InputError
            If a LoRA is broken or does not fit the checkpoint.
        CopierError
            If memory runs out, or the model's numbers overflow.
        """
        check_requests(requests)
        for request in requests:
            for use in request.loras:
                self._shelf.take(use.path)
        # A walk cannot be told of pictures that are not drawn again.
        key = self._key(requests) if on_walk is None else ()
        return PRINTS.take(
            key, lambda: self._made(requests, on_progress or _unheard, on_step or _unheard, on_walk)
        )

    def _key(self, requests: Sequence[PictureRequest]) -> Key:
        """All that decides a call's pictures to the last bit; empty where a checkpoint has no file."""
        checkpoint = self.checkpoint
        if not checkpoint.state:
            return ()
        loras = tuple(tuple(self.lora_hashes(request).items()) for request in requests)
        kind = (checkpoint.prediction_type, str(checkpoint.device), checkpoint.dtype, torch.get_num_threads())
        return (*checkpoint.state, *kind, tuple(requests), loras)

    def _made(
        self,
        requests: Sequence[PictureRequest],
        on_progress: Progress,
        on_step: Callable[[], None],
        on_walk: OnWalk | None,
    ) -> list[Image.Image]:
        batches = list(self._batches(requests))
        levels = [self._levels(requests[batch[0]]) for batch in batches]
        total = sum(len(sigmas) - 1 for sigmas in levels)
        done = 0

        def before_pass(step: int) -> None:
            on_step()
            on_progress(done + step, total)

        pictures: dict[int, Image.Image] = {}
        for batch, sigmas in zip(batches, levels, strict=True):
            own = [requests[index] for index in batch]
            with _memory_errors():
                states: list[torch.Tensor] | None = None if on_walk is None else []
                pictures |= zip(batch, self._run(own, sigmas, before_pass, states), strict=True)
            if on_walk is not None and states:
                for row, index in enumerate(batch):
                    on_walk(index, _walk([one[row] for one in states], sigmas, own[row]))
            done += len(sigmas) - 1
        on_progress(total, total)
        return [pictures[index] for index in range(len(requests))]

    def lora_hashes(self, request: PictureRequest) -> dict[Path, str]:
        """`sshs_model_hash` of every LoRA that a request uses."""
        return {use.path: self._shelf.take(use.path).hash for use in request.loras}

    def _batches(self, requests: Sequence[PictureRequest]) -> Iterable[list[int]]:
        """Indices of requests that can run together: same size, sampler and steps, and not too many."""
        groups: dict[tuple, list[int]] = {}
        for index, request in enumerate(requests):
            key = (request.width, request.height, request.sampler, request.steps)
            groups.setdefault(key, []).append(index)
        budget = _BATCH_PIXELS.get(self.checkpoint.device.type, _BATCH_PIXELS["cpu"])
        for (width, height, *_), indices in groups.items():
            count = max(1, min(_LARGEST_BATCH, budget // (width * height)))
            for alike in self._alike(requests, indices):
                for start in range(0, len(alike), count):
                    yield alike[start : start + count]

    def _alike(self, requests: Sequence[PictureRequest], indices: Sequence[int]) -> Iterator[list[int]]:
        """The pictures of each set of LoRAs where it is merged, and those that are left."""
        sets: dict[tuple[LoraUse, ...], list[int]] = {}
        for index in indices:
            sets.setdefault(requests[index].loras, []).append(index)
        left = []
        for loras, own in sets.items():
            if len(own) >= _MERGED_FROM and self._shelf.merges([use.path for use in loras]):
                yield own
            else:
                left += own
        if left:
            yield left

    def _levels(self, request: PictureRequest) -> list[float]:
        return WALKS[request.sampler].levels(self._schedule, request.steps)

    @torch.inference_mode()
    def _run(
        self,
        requests: Sequence[PictureRequest],
        sigmas: list[float],
        before_pass: Callable[[int], None],
        states: list[torch.Tensor] | None,
    ) -> list[Image.Image]:
        """The pictures of one batch; `states` gets what the U-Net is shown (B, C, h, w), step by step."""
        first = requests[0]
        walk = WALKS[first.sampler]
        scales = [request.cfg_scale for request in requests]
        guided = guided_rows(scales)
        generators = [torch.Generator().manual_seed(request.seed) for request in requests]
        shape = self._latent_shape(first)

        def noise() -> torch.Tensor:
            drawn = [torch.randn(shape, generator=generator) for generator in generators]
            return torch.stack(drawn).to(self.checkpoint.device)

        denoise = GuidedDenoiser(
            self.checkpoint,
            self._prompts.positive(requests),
            self._prompts.negative([requests[row] for row in guided]) if guided else None,
            scales=scales,
            sigmas=sigmas,
            times=time_of(self._schedule, sigmas[:-1]),
            size=(first.width, first.height),
            on_step=before_pass,
            states=states,
        )
        paths = list(dict.fromkeys(use.path for request in requests for use in request.loras))
        weights = torch.tensor([[_weight_of(request, path) for path in paths] for request in requests])
        with (
            self._shelf.acting("unet", paths, torch.cat([weights, weights[guided]])),
            remembered_text(self.checkpoint.unet),
        ):
            latents = walk.steps(denoise, walk.start(noise(), sigmas), sigmas, noise)
        return self._decode(walk.finish(latents, sigmas))

    def _latent_shape(self, request: PictureRequest) -> tuple[int, int, int]:
        factor = self.checkpoint.latent_factor
        if request.width % factor or request.height % factor:
            raise InputError(
                f"This checkpoint's VAE needs sizes divisible by {factor}, "
                f"not {request.width}x{request.height}.",
                "Change width and height.",
            )
        channels = self.checkpoint.unet.config.in_channels
        return channels, request.height // factor, request.width // factor

    def _decode(self, latents: torch.Tensor) -> list[Image.Image]:
        pixels = decode_latents(self.checkpoint.vae, latents)
        if not torch.isfinite(pixels).all():
            raise CopierError(
                "The model's numbers overflowed (the picture is not a number).",
                "Use --precision bf16 or fp32, or lower the LoRA weights.",
            )
        return to_images(pixels)


def _walk(states: Sequence[torch.Tensor], sigmas: Sequence[float], request: PictureRequest) -> Walk:
    levels, scale = torch.tensor(sigmas[: len(states)]), torch.tensor(request.cfg_scale)
    return Walk(torch.stack(list(states)), levels, scale, request.negative_prompt)


def _unheard(*_numbers: int) -> None:
    """Tells nobody, and stops nothing."""


def _weight_of(request: PictureRequest, path: Path) -> float:
    return sum(use.weight for use in request.loras if use.path == path)


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Turn running out of memory into words."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise CopierError(
            f"Memory ran out ({str(error).splitlines()[0]:.100}).",
            "Lower the size or the number of pictures, or close what else uses it.",
        ) from error
