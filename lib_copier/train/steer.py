"""Decides after each look at the goal: go on, turn to a lower rate, go back to the best state, or end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from lib_copier.settings.training import Turn

Decision = Literal["on", "back", "reached", "spent", "stale"]

_PATIENCE = 2
"""Looks without a better one before the rate is lowered: prints swing from look to look."""
_BETTER = 0.5
"""dB that count as better."""
_LOWER = 2.0
"""What a rate is divided by where looks no longer improve."""
_LOWER_LOST = 3.0
"""What it is divided by where training diverged: a factor of three above the best rate there is no copier."""
_LOWER_RUSHED = 4.0
"""What it is divided by where the goal was reached sooner than is good."""
_MOST_TURNS = 4
_DIVERGED = 4.0
"""Times the lowest smoothed loss: so high it does not come by chance."""
_SMOOTHING = 0.9
_SETTLED = 10
"""Steps after a turn before its loss is judged."""


@dataclass
class Steering:
    """What a training has come to, in numbers that a saved state can hold.

    Scores are dB, more is nearer to the goal. `turns` tell the whole way: from which step on, counted from 0,
    which rate, beginning with the mean weights after which number of steps. A plateau goes on from the mean
    at its end: only what has diverged is worse than it was.
    """

    rate: float
    turns: list[Turn] = field(default_factory=list)
    best: float = -math.inf
    best_step: int = 0
    looks_since: int = 0
    smoothed: float = math.nan
    lowest: float = math.inf
    most_turns: int = _MOST_TURNS

    def __post_init__(self) -> None:
        if not self.turns:
            self.turns.append(Turn(0, self.rate, 0))

    def saw(self, step: int, score: float, is_reached: bool, least_steps: int = 0) -> Decision:
        """Judge a look after `step` steps; -inf is that of a model that prints no numbers any more.

        A goal that is reached fewer than `least_steps` after the beginning was reached in a rush: all begins
        anew.
        """
        if score == -math.inf:
            return self._turn(step, _LOWER_LOST, self.best_step)
        if is_reached and step - self._begun < least_steps and self._has_turns_left:
            self.best = -math.inf
            return self._turn(step, _LOWER_RUSHED, 0)
        is_better = score > self.best + _BETTER or self.best == -math.inf
        self.looks_since = 0 if is_better else self.looks_since + 1
        # Any gain is kept, a small one is no reason to go on at this rate. What reached the goal did so with
        # other noise too, and is kept though an earlier look may have been luckier.
        if is_reached or score > self.best:
            self.best, self.best_step = score, step
        if is_reached:
            return "reached"
        return self._turn(step, _LOWER, step) if self.looks_since >= _PATIENCE else "on"

    def lost(self, step: int, loss: float, now: int) -> Decision:
        """Take the loss of step `step` in, `now` steps being started; `back` or `spent` where it diverges.

        On a GPU losses arrive some steps late: one from before the last turn is `stale`.
        """
        if step <= self.turns[-1].step:
            return "stale"
        if not math.isfinite(loss):
            return self._turn(now, _LOWER_LOST, self.best_step)
        is_first = math.isnan(self.smoothed)
        self.smoothed = loss if is_first else _SMOOTHING * self.smoothed + (1 - _SMOOTHING) * loss
        if step - self.turns[-1].step < _SETTLED:
            return "on"
        self.lowest = min(self.lowest, self.smoothed)
        has_diverged = self.smoothed > _DIVERGED * self.lowest
        return self._turn(now, _LOWER_LOST, self.best_step) if has_diverged else "on"

    @property
    def _begun(self) -> int:
        """The step at which the LoRA last was what it is at first."""
        return max(turn.step for turn in self.turns if turn.back_to == 0)

    @property
    def _has_turns_left(self) -> bool:
        return len(self.turns) <= self.most_turns

    def _turn(self, step: int, divisor: float, back_to: int) -> Decision:
        if not self._has_turns_left:
            return "spent"
        self.rate /= divisor
        self.turns.append(Turn(step, self.rate, back_to))
        self.looks_since, self.smoothed, self.lowest = 0, math.nan, math.inf
        return "back"

    def stored(self) -> dict[str, Any]:
        """All of it in plain values."""
        return asdict(self)

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Steering:
        """From `stored`."""
        return cls(**{**stored, "turns": [Turn(**turn) for turn in stored["turns"]]})

    def extended(self) -> Steering:
        """The same with new turns to take, for a goal that was raised after the end."""
        return replace(self, most_turns=len(self.turns) - 1 + _MOST_TURNS)
