"""Which time steps a training draws, and how much the loss of each counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lib_copier.errors import InputError
from lib_copier.models.noise import TRAIN_STEPS, NoiseSchedule
from lib_copier.train import draw
from lib_copier.train.config import TrainConfig
from lib_copier.train.loss import min_snr_weight
from lib_copier.train.walk import LearnedWalk


@dataclass(frozen=True)
class TimeSteps:
    """The draws of a training, and their weights.

    Parameters
    ----------
    weights:
        Factor on the loss of a sample at each time step, (1000,) on the model's device; None: 1.
    chances:
        How often each time step of the range is drawn, (high − low,), in any unit; None: all alike.
    """

    config: TrainConfig
    weights: torch.Tensor | None = None
    chances: np.ndarray | None = None

    @classmethod
    def of(cls, config: TrainConfig, schedule: NoiseSchedule, walk: LearnedWalk | None = None) -> TimeSteps:
        """What the settings ask for; along a walk, its steps.

        With a low gamma most of evenly drawn samples hardly count. ``importance`` draws each time step by its
        share of the gradient, and divides its weight by that: what is expected stays the same and varies less
        (importance sampling; Katharopoulos and Fleuret 2018, "Not All Samples Are Created Equal", section 3).
        A gradient goes with weight times error, and an error of one in the picture is one of sqrt(SNR) in
        epsilon, of sqrt(SNR + 1) in v: with min-SNR's weights either is sqrt(weight · min(SNR, gamma)).
        """
        if walk is not None:
            return cls._along(config, schedule, walk)
        if config.min_snr_gamma is None:
            return cls(config)
        every = torch.arange(TRAIN_STEPS, device=schedule.alphas_cumprod.device)
        weights = min_snr_weight(schedule, every, config.min_snr_gamma)
        if config.timestep_sampling != "importance":
            return cls(config, weights)
        counts = schedule.snr(every).clamp(max=config.min_snr_gamma)
        reach = slice(config.timestep_min, config.timestep_max)
        # Off the device: Apple's GPUs have no float64.
        chances = (weights * counts).sqrt()[reach].cpu().double()
        # Relative to even draws: the loss keeps its size. What is never drawn needs no weight.
        weights[reach] *= (chances.mean() / chances).nan_to_num(posinf=0.0).to(weights)
        return cls(config, weights, chances.numpy())

    @classmethod
    def _along(cls, config: TrainConfig, schedule: NoiseSchedule, walk: LearnedWalk) -> TimeSteps:
        """The steps of a walk, each by what it adds to the finished picture.

        An error at a step counts by the way from its level to the next; above the level where the SNR is
        gamma, where nothing can be known yet, by as much less.
        """
        every = torch.arange(TRAIN_STEPS)
        snr = schedule.snr(every.to(schedule.alphas_cumprod.device)).cpu().double().clamp(min=1e-12)
        known = (snr / (config.min_snr_gamma or 1e-12)).clamp(max=1.0).sqrt()
        counts = torch.zeros(TRAIN_STEPS, dtype=torch.float64)
        counts.index_add_(0, torch.from_numpy(walk.timesteps), torch.from_numpy(walk.reaches()))
        counts *= known
        # In the clean picture's unit, as min-SNR's weights are; drawn once for each unit of the count.
        below = snr + 1.0 if schedule.prediction_type == "v_prediction" else snr
        weights = counts.sum() * counts / below
        chances = counts[config.timestep_min : config.timestep_max]
        if not chances.any():
            raise InputError(
                f"No walk has a step from {config.timestep_min} to {config.timestep_max}.",
                "Widen timestep_min and timestep_max.",
            )
        return cls(config, weights.to(schedule.alphas_cumprod), chances.numpy())

    def draw(self, step: int) -> np.ndarray:
        """Those of a step's batch, (B,) int64."""
        config = self.config
        return draw.timesteps(
            config.seed,
            step,
            config.batch_size,
            config.timestep_min,
            config.timestep_max,
            config.timestep_sampling if self.chances is None else "importance",
            self.chances,
        )
