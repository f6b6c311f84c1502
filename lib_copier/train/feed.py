"""Hands each step its batch: drawn ahead on the CPU, brought to the device many steps at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from lib_copier.train import draw
from lib_copier.train.config import TrainConfig
from lib_copier.train.prepare import Prepared, PreparedPicture
from lib_copier.train.step import Batch

_MOST_STEPS_AHEAD = 64
_MOST_NOISE_AHEAD = 4 * 1024 * 1024
"""Numbers of noise in one transfer (16 MiB)."""


@dataclass(frozen=True)
class _Chunk:
    """Draws of N successive steps: `pictures` N of one for all copies of a batch, or of one for each; `noise`
    N of (B, C, h, w), `timesteps` and `captions` (N, B); `drawn` are the time steps on the CPU."""

    first: int
    pictures: tuple[tuple[int, ...], ...]
    noise: tuple[torch.Tensor, ...]
    timesteps: torch.Tensor
    captions: torch.Tensor
    drawn: tuple[np.ndarray, ...]


class Feed:
    """Batches by step number; what a step gets does not depend on where the run began."""

    def __init__(self, config: TrainConfig, run: Prepared) -> None:
        self._config = config
        self._run = run
        # Held draws have a seed of their own.
        self._timesteps = replace(run.timesteps, config=config)
        most = max(picture.latents.numel() for picture in run.pictures) * config.batch_size
        # Two pairs in one batch tell more of their edit than one pair twice.
        self._is_mixed = config.opposite and len({picture.latents.shape for picture in run.pictures}) == 1
        self._steps_ahead = max(1, min(_MOST_STEPS_AHEAD, _MOST_NOISE_AHEAD // most))
        self._chunk: _Chunk | None = None

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        chunk = self._chunk
        if chunk is None or not chunk.first <= step < chunk.first + len(chunk.pictures):
            chunk = self._chunk = self._draw(step)
        place = step - chunk.first
        pictures = [self._run.pictures[index] for index in chunk.pictures[place]]
        noise, printed = self._states(pictures, chunk, place)
        return Batch(
            latents=torch.cat([one.latents for one in pictures]),
            noise=noise,
            timesteps=chunk.timesteps[place],
            captions=chunk.captions[place],
            mask=_joined([one.mask for one in pictures]),
            time_ids=pictures[0].time_ids,
            origin=_joined([one.origin for one in pictures]),
            printed=printed,
        )

    def _states(
        self, pictures: list[PreparedPicture], chunk: _Chunk, place: int
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """A step's noise, and what the model predicts there where it was asked ahead.

        Both are those of the pictures' walks where they have them; else the noise is what was drawn.
        """
        walks = [one.walk for one in pictures if one.walk is not None]
        if not walks:
            return chunk.noise[place], None
        at = walks[0].places(chunk.drawn[place])
        own = [walks[copy % len(walks)] for copy in range(len(at))]
        noise = torch.stack([walk.noise[step] for walk, step in zip(own, at, strict=True)])
        answers = [walk.answers[step] for walk, step in zip(own, at, strict=True) if walk.answers is not None]
        return noise, torch.stack(answers) if answers else None

    def _draw(self, first: int) -> _Chunk:
        config, run = self._config, self._run
        # The search for a rate may take more steps than the training has.
        steps = range(first, max(first + 1, min(first + self._steps_ahead, config.steps)))
        pictures = tuple(self._pictures(step) for step in steps)
        noise = [
            draw.noise(config.seed, step, (config.batch_size, *run.pictures[own[0]].latents.shape[1:]))
            for step, own in zip(steps, pictures, strict=True)
        ]
        timesteps = [self._timesteps_of(step) for step in steps]
        captions = [
            [
                run.captions.row(own[copy % len(own)], step * config.batch_size + copy)
                for copy in range(config.batch_size)
            ]
            for step, own in zip(steps, pictures, strict=True)
        ]
        return _Chunk(
            first,
            pictures,
            self._noise_to_device(noise),
            self._to_device(torch.from_numpy(np.stack(timesteps))),
            self._to_device(torch.tensor(captions)),
            tuple(timesteps),
        )

    def _timesteps_of(self, step: int) -> np.ndarray:
        """A step's time steps (B,), turned round from step to step where halves learn at opposite signs.

        Spread draws rise through the batch, and either sign would keep to its own part of the range.
        """
        drawn = self._timesteps.draw(step)
        return np.roll(drawn, step) if self._config.opposite else drawn

    def _pictures(self, step: int) -> tuple[int, ...]:
        """The pictures of a step by their numbers: one of all copies, or one of each."""
        copies = self._config.batch_size if self._is_mixed else 1
        places = range(step * copies, (step + 1) * copies)
        count = len(self._run.pictures)
        return tuple(draw.picture_index(self._config.seed, place, count) for place in places)

    def _noise_to_device(self, noise: list[np.ndarray]) -> tuple[torch.Tensor, ...]:
        """One transfer for all steps, whatever their sizes."""
        flat = self._to_device(torch.from_numpy(np.concatenate([one.ravel() for one in noise])))
        parts = flat.split([one.size for one in noise])
        return tuple(part.view(one.shape) for part, one in zip(parts, noise, strict=True))

    def _to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        """Asynchronously from pinned memory, so that the GPU works on meanwhile."""
        if self._run.device.type != "cuda":
            return tensor
        return tensor.pin_memory().to(self._run.device, non_blocking=True)


def _joined(parts: list[torch.Tensor | None]) -> torch.Tensor | None:
    """One batch of what every picture has; None where some have none."""
    found = [part for part in parts if part is not None]
    return torch.cat(found) if len(found) == len(parts) else None
