"""The update of a step: unscale, clip, skip what is not finite, move the weights."""

from __future__ import annotations

from typing import Any

import torch

from lib_copier.train.optimizer import takes_gradient_scale

_FIRST_SCALE = 2.0**16
_GROWTH_STEPS = 2000
"""fp16 loss scale: halved after an overflow, doubled after this many good steps (torch's own defaults)."""


class LossScale:
    """The factor on the loss that keeps fp16 gradients from vanishing; 1 for other precisions."""

    def __init__(self, device: torch.device, *, is_dynamic: bool) -> None:
        self.is_dynamic = is_dynamic
        self.value = torch.full((), _FIRST_SCALE if is_dynamic else 1.0, device=device)
        self.good_steps = torch.zeros((), dtype=torch.int32, device=device)

    def update(self, overflow: torch.Tensor) -> None:
        """Move the scale after a step; `overflow` is 1.0 where the step was skipped, else 0.0."""
        if self.is_dynamic:
            torch._amp_update_scale_(self.value, self.good_steps, overflow, 2.0, 0.5, _GROWTH_STEPS)


class Updater:
    """Applies gradients to the weights."""

    def __init__(self, optimizer: Any, scale: LossScale, max_grad_norm: float) -> None:
        self.optimizer = optimizer
        self.scale = scale
        self._max_norm = max_grad_norm
        self._is_fused = takes_gradient_scale(optimizer)

    def apply(self, gradients: list[torch.Tensor], loss: torch.Tensor) -> torch.Tensor:
        """Clip and step, unless loss or gradients are not finite; returns 1.0 where it skipped, else 0.0."""
        norm = torch.stack(torch._foreach_norm(gradients)).norm() / self.scale.value
        overflow = 1.0 - (norm + loss).isfinite().float()
        divisor = self.scale.value
        if self._max_norm > 0.0:
            divisor = divisor * ((norm + 1e-6) / self._max_norm).clamp(min=1.0)
        if self._is_fused:
            # Division and skipping happen inside the optimiser's own kernel: no extra pass over memory.
            self.optimizer.grad_scale = divisor
            self.optimizer.found_inf = overflow
            self.optimizer.step()
        elif not overflow.item():
            torch._foreach_div_(gradients, divisor)
            self.optimizer.step()
        self.scale.update(overflow)
        return overflow
