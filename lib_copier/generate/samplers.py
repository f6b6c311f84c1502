"""Samplers as small functions of one signature, with the noise levels that the WebUI gives each of them.

All work on `x` = picture + sigma · noise, with sigma² = (1 − a) / a. `denoise(x, step)` is the guided
U-Net's idea of the clean picture at the step's noise level, asked once a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch

from lib_copier.models.noise import TRAIN_STEPS, NoiseSchedule

Denoise = Callable[[torch.Tensor, int], torch.Tensor]
Noise = Callable[[], torch.Tensor]

KARRAS_RHO = 7.0
_SMALLEST_SIGNAL = 4.8973451890853435e-08
"""What stands for "no signal" at a zero-terminal-SNR schedule's last step, whose sigma would be infinite."""


class Step(Protocol):
    """Walk `x` (B, C, h, w) down the noise levels `sigmas`; `noise()` draws fresh noise of x's shape."""

    def __call__(
        self, denoise: Denoise, x: torch.Tensor, sigmas: list[float], noise: Noise
    ) -> torch.Tensor: ...


@dataclass(frozen=True)
class Walk:
    """How a sampler goes from noise to a picture: its steps, and the noise levels that it visits.

    `starts_scaled`: the walk begins with sqrt(1 + sigma²) instead of sigma times the noise; `ends_noisy`:
    it stops at the last of its levels instead of at none.
    """

    steps: Step
    levels: Callable[[NoiseSchedule, int], list[float]]
    starts_scaled: bool = False
    ends_noisy: bool = False

    def start(self, noise: torch.Tensor, sigmas: list[float]) -> torch.Tensor:
        """The noise (B, C, h, w) of deviation 1, at the first level."""
        return noise * (math.sqrt(1.0 + sigmas[0] ** 2) if self.starts_scaled else sigmas[0])

    def finish(self, x: torch.Tensor, sigmas: list[float]) -> torch.Tensor:
        """Latents from where the walk ended."""
        return x / math.sqrt(1.0 + sigmas[-1] ** 2) if self.ends_noisy else x


def euler(denoise: Denoise, x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    """Straight steps along the probability flow (Karras et al. 2022, algorithm 2 without its correction)."""
    for step, (now, then) in enumerate(pairwise(sigmas)):
        x = torch.lerp(denoise(x, step), x, then / now)
    return x


def euler_ancestral(denoise: Denoise, x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    """Euler steps that go too far down and come back up with fresh noise."""
    for step, (now, then) in enumerate(pairwise(sigmas)):
        up = min(then, math.sqrt(then**2 * (now**2 - then**2) / now**2))
        down = math.sqrt(then**2 - up**2)
        x = torch.lerp(denoise(x, step), x, down / now)
        if then > 0.0:
            x = x + noise() * up
    return x


def dpmpp_2m(denoise: Denoise, x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    """DPM-Solver++(2M): second order from the last two answers (Lu et al. 2022)."""
    before, last_span = None, 0.0
    for step, (now, then) in enumerate(pairwise(sigmas)):
        clean = denoise(x, step)
        if then == 0.0:
            return clean
        span = math.log(now / then)
        ahead = clean
        if before is not None:
            ahead = torch.lerp(before, clean, 1.0 + span / (2.0 * last_span))
        x = torch.lerp(ahead, x, then / now)
        before, last_span = clean, span
    return x


def uniform_levels(schedule: NoiseSchedule, steps: int) -> list[float]:
    """Evenly spaced time steps from the last to the first, then no noise."""
    logs = log_sigmas(schedule)
    times = torch.linspace(TRAIN_STEPS - 1, 0, steps, dtype=torch.float64)
    low = times.floor().long()
    high = (low + 1).clamp(max=TRAIN_STEPS - 1)
    return [*torch.lerp(logs[low], logs[high], times - low).exp().tolist(), 0.0]


def karras_levels(schedule: NoiseSchedule, steps: int) -> list[float]:
    """Evenly spaced in sigma^(1/7) (Karras et al. 2022, equation 5), then no noise."""
    ends = log_sigmas(schedule)[[-1, 0]].exp() ** (1.0 / KARRAS_RHO)
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    return [*(torch.lerp(ends[0], ends[1], ramp) ** KARRAS_RHO).tolist(), 0.0]


def ddim_levels(schedule: NoiseSchedule, steps: int) -> list[float]:
    """Every 1000 // steps-th time step, shifted by one, down to time step 1, where DDIM ends.

    As the WebUI has it, these are one more than `steps` only where `steps` does not divide 1000: 20 steps
    are 19 passes, 28 are 28 from time step 981, 150 are 166, and 1 is none.
    """
    times = torch.arange(0, TRAIN_STEPS, TRAIN_STEPS // steps).flip(0) + 1
    return log_sigmas(schedule)[times.clamp(max=TRAIN_STEPS - 1)].exp().tolist()


def log_sigmas(schedule: NoiseSchedule) -> torch.Tensor:
    """ln sigma of the 1000 time steps, float64 on the CPU."""
    signal = schedule.alphas_cumprod.double().cpu().clamp(min=_SMALLEST_SIGNAL)
    return (((1.0 - signal) / signal) ** 0.5).log()


def time_of(schedule: NoiseSchedule, sigmas: list[float]) -> torch.Tensor:
    """The (fractional) time steps at which the schedule has these noise levels; float32 on the CPU."""
    logs = log_sigmas(schedule)
    wanted = torch.tensor(sigmas, dtype=torch.float64).log()
    low = (torch.searchsorted(logs, wanted, right=True) - 1).clamp(0, TRAIN_STEPS - 2)
    share = ((wanted - logs[low]) / (logs[low + 1] - logs[low])).clamp(0.0, 1.0)
    return (low + share).float()


WALKS: dict[str, Walk] = {
    "Euler": Walk(euler, uniform_levels),
    "Euler a": Walk(euler_ancestral, uniform_levels),
    # In these variables DDIM without its optional noise is Euler's step on other levels.
    "DDIM": Walk(euler, ddim_levels, starts_scaled=True, ends_noisy=True),
    "DPM++ 2M": Walk(dpmpp_2m, uniform_levels),
    "DPM++ 2M Karras": Walk(dpmpp_2m, karras_levels),
}
