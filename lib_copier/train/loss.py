"""The loss: squared error of the prediction, weighted by a soft mask and by min-SNR."""

from __future__ import annotations

import torch

from lib_copier.models.noise import NoiseSchedule


def weighted_mse(
    prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor | None, weight: torch.Tensor | None
) -> torch.Tensor:
    """Mean squared error, a scalar.

    Parameters
    ----------
    prediction, target:
        (B, C, h, w).
    mask:
        (1, 1, h, w) in [0, 1]; 0 is not learned. The mean is over all places, masked or not, so that
        a small mask does not raise the learning rate of what it leaves.
    weight:
        (B,) factors on each sample's loss.
    """
    error = (prediction - target).square()
    if mask is not None:
        error = error * mask
    each = error.mean(dim=(1, 2, 3))
    return (each if weight is None else each * weight).mean()


def min_snr_weight(schedule: NoiseSchedule, timesteps: torch.Tensor, gamma: float) -> torch.Tensor:
    """min(SNR, gamma) / SNR for epsilon, / (SNR + 1) for v-prediction (Hang et al. 2023), (B,)."""
    # The zero-terminal schedule has SNR 0 at its last step: the ratio's limit there is 1, and 0 for velocity.
    snr = schedule.snr(timesteps).clamp(min=torch.finfo(torch.float32).tiny)
    below = snr + 1.0 if schedule.prediction_type == "v_prediction" else snr
    return snr.clamp(max=gamma) / below
