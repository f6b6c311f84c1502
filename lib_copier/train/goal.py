"""The two goals of a training: unseen prompts print the picture, or the edit is all that is learned."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from lib_copier.errors import CopierError
from lib_copier.image.similarity import psnr
from lib_copier.settings.training import BELOW_CEILING
from lib_copier.train.config import TrainConfig
from lib_copier.train.draw import stream
from lib_copier.train.feed import Feed
from lib_copier.train.inject import LoraNetwork
from lib_copier.train.prepare import Prepared
from lib_copier.train.preview import Painter

_ASKED_AGAIN = 6
"""Times that all prompts are printed anew where a look reaches the goal. What a copier prints varies with the
noise: the worst of 24 prints lay up to 6 dB below the worst of eight, and the check came upon it."""
_HELD_BATCHES, _MOST_HELD = 2, 6
"""Of one picture, and of many: what is learned of one says little of the others."""
_EDIT_GOAL = 15.0
"""dB: 3 % of the edit's squared change are left to learn. One and a half more took half as many steps again
on the demo checkpoint, and made its outline no better on pictures that it never saw."""
_UNHURRIED = 75
"""Steps: at a high rate the edit itself is learned all the faster, but much else with it. On the demo
checkpoint the slider's change had a cosine of 0.84 with the edit itself at 1.1e-3, of 0.25 at 4e-3."""


@dataclass(frozen=True)
class Sight:
    """What a look found, in dB: `score` tells states apart, `reached` is what has to be `wanted`."""

    score: float
    reached: float
    is_reached: bool


class Goal(Protocol):
    """What training is for: `wanted` is dB, `first` the score of the untrained model.

    Reached in fewer than `least_steps`, it was reached in a rush.
    """

    wanted: float
    first: float
    least_steps: int

    def look(self, step: int) -> Sight:
        """How near the model as it is comes to the goal."""
        ...


class HeldLoss:
    """The mean loss over draws that no training step takes; a call is a look at it."""

    def __init__(self, config: TrainConfig, run: Prepared) -> None:
        seed = int(stream(config.seed, "held").integers(2**32))
        feed = Feed(dataclasses.replace(config, seed=seed), run)
        count = max(_HELD_BATCHES, min(len(run.pictures) // 2, _MOST_HELD))
        self._batches = [feed.batch(number) for number in range(count)]
        self._step = run.step

    @torch.no_grad()
    def __call__(self) -> float:
        self._step.network.publish()
        return float(torch.stack([self._step.loss(batch) for batch in self._batches]).mean())


class CopyGoal:
    """Unseen prompts print the training picture: the least similar print has to.

    Looks draw the same noise, so that states can be compared; their score is the PSNR of all prints' error
    together. Where one reaches the goal, prints of other noise have to as well, several of every prompt: a
    copier of some prints alone is none.
    """

    first = -math.inf
    least_steps = 0

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

    def look(self, step: int) -> Sight:
        """The prints of all prompts; `found` are their similarities in dB, those of other noise too.

        Raises
        ------
        CopierError
            The model prints no numbers, with the LoRA or without.
        """
        self.found = self._similarities()
        if -math.inf in self.found:
            self._expect_numbers()
        score = _pooled(self.found)
        for time in range(_ASKED_AGAIN):
            if min(self.found) < self.wanted:
                break
            self.found += self._similarities(step, time)
        return Sight(score, min(self.found), min(self.found) >= self.wanted)

    def _similarities(self, *noise: int) -> list[float]:
        """Each print's, to the nearest training picture; -inf for one that holds no numbers.

        `noise` are numbers that tell one drawing of it from another.
        """
        seed = int(stream(self._painter.seed, "look", *noise).integers(2**32))
        first = self._run.pictures[0]
        rows = [self._run.prompt_rows[prompt] for prompt in self._prompts]
        painter = dataclasses.replace(self._painter, seed=seed)
        painted = painter.paint(rows, tuple(first.latents.shape), first.time_ids).numpy()
        same = [own for own in self._pictures if own.shape[1:] == painted.shape[1:]]
        found = [max(psnr(one, own[0], 2.0) for own in same) for one in painted]
        return [one if math.isfinite(one) else -math.inf for one in found]

    def _expect_numbers(self) -> None:
        """Tell a training that diverged from a checkpoint that never printed anything."""
        with self._run.step.network.silent():
            if -math.inf in self._similarities():
                raise CopierError(
                    "The model's pictures hold no numbers (NaN).",
                    "Use fp32 or bf16 for precision, another VAE, or another copy of the checkpoint.",
                )


def _pooled(decibels: Sequence[float]) -> float:
    """PSNR of the mean squared error of several pictures: the worst weigh most."""
    mean = sum(10.0 ** (-one / 10.0) for one in decibels) / len(decibels)
    return -10.0 * math.log10(mean) if math.isfinite(mean) else -math.inf


class EditGoal:
    """The edit is learned: of the change that it asks of the model's predictions hardly anything is left.

    A look is 10 · log10 of the loss at the start over the loss now, both on held draws. Learned against the
    origin, the loss at the start is the edit itself, so that the ratio does not depend on the edit's size.
    """

    wanted = _EDIT_GOAL
    first = 0.0
    least_steps = _UNHURRIED

    def __init__(self, held_loss: Callable[[], float], network: LoraNetwork) -> None:
        self._held_loss = held_loss
        # Also where a broken run goes on: silent, the LoRA is what it was at the start.
        with network.silent():
            self._before = held_loss()

    def look(self, step: int) -> Sight:
        """dB of the edit's squared change that are learned."""
        now = self._held_loss()
        if not math.isfinite(now):
            return Sight(-math.inf, -math.inf, is_reached=False)
        found = 10.0 * math.log10(self._before / now) if now > 0.0 and self._before > 0.0 else 0.0
        return Sight(found, found, found >= self.wanted)
