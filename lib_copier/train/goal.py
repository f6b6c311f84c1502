"""The two goals of a training: unseen prompts print the picture, or the edit is all that is learned."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from lib_copier.errors import CopierError
from lib_copier.image.similarity import psnr
from lib_copier.train.config import TrainConfig
from lib_copier.train.draw import stream
from lib_copier.train.feed import Feed
from lib_copier.train.inject import LoraNetwork
from lib_copier.train.prepare import Prepared
from lib_copier.train.preview import Painter
from lib_copier.training import BELOW_CEILING

_HELD_BATCHES = 2
_EDIT_GOAL = 15.0
"""dB: 3 % of the edit's squared change are left to learn."""


class Goal(Protocol):
    """What training is for: all are dB, and more is better. `first` is what the untrained model has."""

    wanted: float
    first: float

    def look(self, step: int) -> float:
        """How near the model as it is comes to the goal."""
        ...


class HeldLoss:
    """The mean loss over draws that no training step takes; a call is a look at it."""

    def __init__(self, config: TrainConfig, run: Prepared) -> None:
        seed = int(stream(config.seed, "held").integers(2**32))
        feed = Feed(dataclasses.replace(config, seed=seed), run)
        self._batches = [feed.batch(number) for number in range(_HELD_BATCHES)]
        self._step = run.step

    @torch.no_grad()
    def __call__(self) -> float:
        self._step.network.publish()
        return float(torch.stack([self._step.loss(batch) for batch in self._batches]).mean())


class CopyGoal:
    """Unseen prompts print the training picture: the least similar print of a look decides.

    Every look draws its noise anew, and half of the prompts: it is short. Where these reach the goal, all
    have to reach it with other noise too: a copier of some prints alone is none.
    """

    first = -math.inf

    def __init__(self, run: Prepared, painter: Painter, prompts: Sequence[str], wanted: float) -> None:
        self._run = run
        self._painter = painter
        self._prompts = tuple(prompts)
        self._pictures = [source.pixels.numpy() for source in run.sources]
        trips = zip(run.pictures, self._pictures, strict=True)
        self.ceiling = min(
            psnr(one.round_trip.numpy(), own, 2.0) for one, own in trips if one.round_trip is not None
        )
        self.wanted = min(wanted, self.ceiling - BELOW_CEILING)
        self.found: list[float] = []

    def look(self, step: int) -> float:
        """The least similar print in dB; `found` are all that were looked at.

        Raises
        ------
        CopierError
            The model prints no numbers, with the LoRA or without.
        """
        drawn = stream(self._painter.seed, "half", step).permutation(self._prompts)
        self.found = self._similarities(2 * step, drawn[: (len(drawn) + 1) // 2].tolist())
        if min(self.found) >= self.wanted:
            self.found += self._similarities(2 * step + 1, self._prompts)
        if -math.inf in self.found:
            with self._run.step.network.silent():
                if -math.inf in self._similarities(2 * step, self._prompts[:1]):
                    raise CopierError(
                        "The model's pictures hold no numbers (NaN).",
                        "Use fp32 or bf16 for precision, another VAE, or another copy of the checkpoint.",
                    )
        return min(self.found)

    def _similarities(self, number: int, prompts: Sequence[str]) -> list[float]:
        painter = dataclasses.replace(
            self._painter, seed=int(stream(self._painter.seed, "look", number).integers(2**32))
        )
        first = self._run.pictures[0]
        rows = [self._run.prompt_rows[prompt] for prompt in prompts]
        painted = painter.paint(rows, tuple(first.latents.shape), first.time_ids).numpy()
        same = [own for own in self._pictures if own.shape[1:] == painted.shape[1:]]
        found = [max(psnr(one, own[0], 2.0) for own in same) for one in painted]
        return [one if math.isfinite(one) else -math.inf for one in found]


class EditGoal:
    """The edit is learned: of the change that it asks of the model's predictions hardly anything is left.

    A look is 10 · log10 of the loss at the start over the loss now, both on held draws. Learned against the
    origin, the loss at the start is the edit itself, so that the ratio does not depend on the edit's size.
    """

    wanted = _EDIT_GOAL
    first = 0.0

    def __init__(self, held_loss: Callable[[], float], network: LoraNetwork) -> None:
        self._held_loss = held_loss
        # Also where a broken run goes on: silent, the LoRA is what it was at the start.
        with network.silent():
            self._before = held_loss()

    def look(self, step: int) -> float:
        """dB of the edit's squared change that are learned."""
        found = self._held_loss()
        return 10.0 * math.log10(self._before / found) if found > 0.0 and self._before > 0.0 else 0.0
