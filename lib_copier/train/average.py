"""The running mean of the weights: a high rate swings around the goal, and their mean lies nearer to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

_MOST_DECAY = 0.96
"""The mean reaches over some 25 steps at most, and over a tenth of the steps while there are fewer."""


class RunningMean:
    """Exponential mean of the weights of the last steps (Polyak and Juditsky 1992).

    `means` are tensors as the weights are. The decay rises with the steps taken, so that the first weights
    are soon forgotten.
    """

    def __init__(self, weights: Sequence[torch.Tensor]) -> None:
        self._weights = list(weights)
        self.means = [weight.detach().clone() for weight in weights]
        self.steps = 0

    @torch.no_grad()
    def begin(self) -> None:
        """Begin anew at the weights as they are."""
        torch._foreach_copy_(self.means, self._weights)
        self.steps = 0

    @torch.no_grad()
    def add(self) -> None:
        """Take the weights of a finished step in."""
        self.steps += 1
        decay = min(_MOST_DECAY, self.steps / (self.steps + 9))
        torch._foreach_lerp_(self.means, self._weights, 1.0 - decay)

    @contextmanager
    def in_place(self, means: Sequence[torch.Tensor] | None = None) -> Iterator[None]:
        """Within it the model has the mean, or the one that is given, for its weights."""
        with torch.no_grad():
            kept = [weight.detach().clone() for weight in self._weights]
            torch._foreach_copy_(self._weights, list(means or self.means))
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._weights, kept)
