"""The noise schedule that Stable Diffusion was trained with, as small pure functions on tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from lib_copier.model_file.checkpoint import PREDICTIONS

TRAIN_STEPS = 1000
BETA_START = 0.00085
BETA_END = 0.012


@dataclass(frozen=True)
class NoiseSchedule:
    """Signal and noise levels of the 1000 time steps, and what the U-Net predicts.

    `alphas_cumprod` (1000,) float32 holds the share of signal (squared) left at each step.
    Methods take `timesteps` (B,) integers and pictures (B, ...) of any shape after the batch.
    """

    alphas_cumprod: torch.Tensor
    prediction_type: str = "epsilon"

    @classmethod
    def create(cls, prediction_type: str = "epsilon", *, zero_terminal_snr: bool = False) -> NoiseSchedule:
        """Betas linear in their square roots ("scaled linear"); computed in float64, as in training."""
        if prediction_type not in PREDICTIONS:
            raise ValueError(f"prediction_type is one of {PREDICTIONS}, not {prediction_type!r}")
        roots = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAIN_STEPS, dtype=torch.float64)
        alphas_cumprod = torch.cumprod(1.0 - roots**2, dim=0)
        if zero_terminal_snr:
            alphas_cumprod = rescale_to_zero_terminal_snr(alphas_cumprod)
        return cls(alphas_cumprod.float(), prediction_type)

    def to(self, device: torch.device | str) -> NoiseSchedule:
        return replace(self, alphas_cumprod=self.alphas_cumprod.to(device))

    def add_noise(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """sqrt(a) · clean + sqrt(1 − a) · noise."""
        signal, spread = self._levels(timesteps, clean)
        return signal * clean + spread * noise

    def target(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """What the U-Net should answer: the noise, or v = sqrt(a) · noise − sqrt(1 − a) · clean."""
        if self.prediction_type == "epsilon":
            return noise
        signal, spread = self._levels(timesteps, clean)
        return signal * noise - spread * clean

    def answer_to(self, shown: torch.Tensor, wanted: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """How the U-Net's answer must change where `shown` is added to the picture that was noised, and
        `wanted` to the clean picture that it sees there."""
        signal, spread = self._levels(timesteps, wanted)
        if self.prediction_type == "epsilon":
            return signal * (shown - wanted) / spread
        return (signal**2 * shown - wanted) / spread

    def snr(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Signal-to-noise ratio a / (1 − a) of each time step (B,)."""
        signal = self.alphas_cumprod[timesteps]
        return signal / (1.0 - signal)

    def _levels(self, timesteps: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        signal = self.alphas_cumprod[timesteps].reshape(-1, *[1] * (like.ndim - 1))
        return signal.sqrt().to(like.dtype), (1.0 - signal).sqrt().to(like.dtype)


def rescale_to_zero_terminal_snr(alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """Shift and scale sqrt(a) so that the last step holds no signal (Lin et al. 2023, algorithm 1)."""
    roots = alphas_cumprod.sqrt()
    first, last = roots[0], roots[-1]
    return ((roots - last) * first / (first - last)) ** 2
