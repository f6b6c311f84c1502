"""Walks in training: states on the way to a drawn picture, as what is noised and learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lib_copier.errors import InputError
from lib_copier.model_file.families import SDXL, Family
from lib_copier.models.noise import NoiseSchedule
from lib_copier.models.walks import Walk
from lib_copier.train.step import Batch, Guidance, TrainingStep
from lib_copier.txt2img.prompt import caption_of


@dataclass(frozen=True)
class LearnedWalk:
    """A walk as the feed takes it.

    `noise` (steps, C, h, w), on the device, makes of the picture's latents the states of its walk;
    `timesteps` (steps,) are those of the schedule that are nearest to its `sigmas` (steps,); `answers`, as
    `noise`, is what the model without the LoRA predicts there, None where it has not been asked ahead.
    Guidance compares with `without`, the words of the negative prompt; None where there was none.

    Noise that is drawn afresh leads to states through which no picture goes, and guidance least of all.
    """

    noise: torch.Tensor
    timesteps: np.ndarray
    sigmas: np.ndarray
    cfg_scale: float
    without: str | None = None
    answers: torch.Tensor | None = None

    @classmethod
    def of(cls, walk: Walk, latents: torch.Tensor, schedule: NoiseSchedule, name: str) -> LearnedWalk:
        """The walk to the picture of these latents (1, C, h, w).

        Raises
        ------
        InputError
            It leads to a picture of another size.
        """
        if walk.states.shape[1:] != latents.shape[1:]:
            raise InputError(
                f"The walk to {name} is of {tuple(walk.states.shape[1:])}, its picture of "
                f"{tuple(latents.shape[1:])} latents.",
                "Draw the picture again.",
            )
        sigmas = walk.sigmas.to(latents)
        noise = (walk.states.to(latents) - latents) / sigmas.reshape(-1, 1, 1, 1)
        levels = schedule.snr(torch.arange(len(schedule.alphas_cumprod))).cpu().double().rsqrt().numpy()
        found = np.abs(np.log(levels)[None] - np.log(walk.sigmas.numpy())[:, None]).argmin(axis=1)
        levels_met = walk.sigmas.double().numpy()
        without = caption_of(walk.negative_prompt) if walk.negative_prompt else None
        return cls(noise, found.astype(np.int64), levels_met, float(walk.cfg_scale), without)

    def asked_ahead(
        self,
        step: TrainingStep,
        origin: torch.Tensor,
        caption: int,
        time_ids: torch.Tensor | None,
        at_once: int,
    ) -> LearnedWalk:
        """With the model's answers at its states, `at_once` a pass: each is learned from repeatedly."""
        answers = []
        timesteps = torch.from_numpy(self.timesteps).to(self.noise.device)
        for noise, times in zip(self.noise.split(at_once), timesteps.split(at_once), strict=True):
            batch = Batch(origin, noise, times, torch.full_like(times, caption), time_ids=time_ids)
            answers.append(step.printed(batch, origin))
        return replace(self, answers=torch.cat(answers))

    @property
    def kind(self) -> tuple[object, ...]:
        """What all walks of one training have alike."""
        return (self.without, self.cfg_scale, *self.sigmas)

    def places(self, timesteps: np.ndarray) -> np.ndarray:
        """Where on the walk the time steps lie."""
        return np.abs(self.timesteps[None] - timesteps[:, None]).argmin(axis=1)

    def reaches(self) -> np.ndarray:
        """(steps,): by how much of an error of the clean picture at each step the finished one differs."""
        return 1.0 - np.append(self.sigmas[1:], 0.0) / self.sigmas

    def shares(self, gamma: float | None) -> np.ndarray:
        """(steps,): how much of the edit the clean picture is to show at each step, 0 … 1.

        Half of it where the SNR is gamma (None: all of it throughout). Before that no model can know where
        the edit will be: what it changes there moves the layout, and the whole walk keeps to that.
        """
        return 1.0 / (1.0 + ((gamma or 0.0) * self.sigmas**2) ** 2)

    def leads(self, shares: np.ndarray) -> np.ndarray:
        """(steps,): how much of the edit the state before each step then has.

        Walks begin at the same noise. Euler's step x + (x − clean) / sigma · (next sigma − sigma) keeps
        next sigma / sigma of what x has, and adds the rest of what the clean picture shows.
        """
        kept = self.sigmas[1:] / self.sigmas[:-1]
        leads = [0.0]
        for share, keeps in zip(shares, kept, strict=False):
            leads.append(leads[-1] * keeps + share * (1.0 - keeps))
        return np.array(leads)


def shared_walk(walks: Sequence[LearnedWalk | None]) -> LearnedWalk | None:
    """The first of the pictures' walks, whose steps and guidance are those of all; None where there are none.

    Raises
    ------
    InputError
        Some have no walk, or another kind of one.
    """
    first, *others = walks
    kind = None if first is None else first.kind
    if any((None if one is None else one.kind) != kind for one in others):
        raise InputError(
            "The pictures' walks differ in their steps, their guidance or their negative prompt.",
            "Draw all pictures in one go.",
        )
    return first


def guidance_of(
    walk: LearnedWalk | None, schedule: NoiseSchedule, family: Family, without: int, gamma: float | None
) -> Guidance | None:
    """How a model of that family is asked along a walk; `without` is the negative prompt's row, `gamma` as
    for shares."""
    if walk is None:
        return None
    shares = walk.shares(gamma)
    return Guidance(
        walk.cfg_scale,
        without,
        shares=_by_timestep(walk, shares, schedule),
        leads=_by_timestep(walk, walk.leads(shares), schedule),
        is_blank=family is SDXL and walk.without is None,
    )


def _by_timestep(walk: LearnedWalk, values: np.ndarray, schedule: NoiseSchedule) -> torch.Tensor:
    """(1000,) on the schedule's device: what its steps have, at their time steps.

    Of steps at one time step the first is taken, as `places` does.
    """
    table = np.zeros(len(schedule.alphas_cumprod))
    table[walk.timesteps[::-1]] = values[::-1]
    return torch.from_numpy(table).to(schedule.alphas_cumprod)
