"""Finds a learning rate: it rises rung by rung until the loss on draws held back has turned."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

_COARSE, _FINE = 2.0, 1.4
"""Factors from rung to rung: while nothing is learned yet, and from then on."""
_COARSE_STEPS, _FINE_STEPS = 1, 2
_LEARNS = 0.9
"""Of the first loss: below it something is being learned."""
_TURNED = 2.0
"""Times the lowest loss: above it the rate has become too high."""
_LOST = 0.5
"""Of the first loss: below it a higher loss is a swing, from which the next steps come back."""
_BELOW_TURN = 4.0
"""How far below the rate that made the loss turn training is steady and still fast."""
_BELOW_START = 100.0
"""How far below the rate that is supposed to be right the search begins."""
_HIGHEST_RATE = 10.0


@dataclass
class RangeTest:
    """A learning-rate range test (Smith 2017, "Cyclical Learning Rates", section 3.3).

    Parameters
    ----------
    start:
        A rate near which the right one is supposed to lie; it may be wrong by a factor of hundred upwards,
        and by any downwards.
    losses:
        (rate, loss on held draws) of the rungs so far; the first is that of the model as it was, at rate 0.
    """

    start: float
    losses: list[tuple[float, float]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The rate of the next rung."""
        if len(self.losses) < 2:
            return self.start / _BELOW_START
        return self.losses[-1][0] * (_FINE if self.has_learned else _COARSE)

    @property
    def steps(self) -> int:
        """How many steps the next rung has."""
        return _FINE_STEPS if self.has_learned else _COARSE_STEPS

    @property
    def has_learned(self) -> bool:
        """Whether some rate has lowered the loss."""
        return self._lowest() < _LEARNS * self.losses[0][1]

    @property
    def is_over(self) -> bool:
        """Whether the loss has turned, or no rate of use is left."""
        return self._has_turned or len(self.losses) > 1 and self.rate > _HIGHEST_RATE

    @property
    def found(self) -> float | None:
        """The rate to train at; None where no rate has any effect, or the model's loss is no number."""
        if len(self.losses) < 2 or not (self._has_turned or self.has_learned):
            return None
        return float(f"{self.losses[-1][0] / _BELOW_TURN:.3g}")

    @property
    def _has_turned(self) -> bool:
        last = self.losses[-1][1]
        return not math.isfinite(last) or last > max(_TURNED * self._lowest(), _LOST * self.losses[0][1])

    def _lowest(self) -> float:
        return min((loss for _, loss in self.losses if math.isfinite(loss)), default=math.inf)


def search(
    start: float, take_step: Callable[[int, float], object], held_loss: Callable[[], float]
) -> tuple[RangeTest, int]:
    """The finished test, and how many steps it took.

    Parameters
    ----------
    take_step:
        Does the step of that number (from 0) at that rate.
    held_loss:
        The loss on draws that no step learns from.
    """
    test, taken = RangeTest(start), 0
    test.losses.append((0.0, held_loss()))
    while not test.is_over:
        rate = test.rate
        for _ in range(test.steps):
            take_step(taken, rate)
            taken += 1
        test.losses.append((rate, held_loss()))
    return test, taken
