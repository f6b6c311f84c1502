"""The way of a training through its steps: which rate each one has, and which weights are kept in the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from lib_copier.errors import CopierError
from lib_copier.settings.training import BELOW_CEILING, Turn
from lib_copier.train.average import RunningMean
from lib_copier.train.config import TrainConfig
from lib_copier.train.goal import CopyGoal, EditGoal, Goal, HeldLoss
from lib_copier.train.optimizer import averaged, lr_factor, restart
from lib_copier.train.prepare import Prepared
from lib_copier.train.progress import Progress
from lib_copier.train.rate import search
from lib_copier.train.steer import Decision, Steering

_RISE = 10
"""Steps over which the rate rises after a turn: the optimiser's memory begins anew there."""


class PlainCourse:
    """A rate and a schedule, as they are typed; the last weights are kept."""

    def __init__(self, config: TrainConfig, run: Prepared) -> None:
        self._config = config
        self._optimizer = run.step.updater.optimizer

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        config = self._config
        return config.learning_rate * lr_factor(config.lr_scheduler, step, config.steps, config.own_warmup)

    def took(self, step: int) -> Decision:
        """Take note of a step, counted from 1, that was started."""
        return "on"

    def lost(self, step: int, loss: float) -> Decision:
        """Take note of the loss of a finished step; `back` where it was gone back from."""
        return "on"

    def kept(self) -> Any:
        """Within it the weights are those to look at, or to keep."""
        return averaged(self._optimizer)

    def told(self) -> dict[str, Any]:
        """What the end of the run tells of it."""
        return {}

    def stored(self) -> dict[str, Any]:
        """What a saved state needs of it."""
        return {}

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Go on from what `stored` gave, once the weights are back."""


class SteeredCourse(PlainCourse):
    """A rate that is found, the mean of the weights, looks at the goal; the best mean that was seen is kept.

    A course that follows another's `turns` takes no looks: it goes the same way, for another picture.
    """

    def __init__(self, config: TrainConfig, run: Prepared, progress: Progress) -> None:
        super().__init__(config, run)
        self._network = run.step.network
        self._mean = RunningMean(self._network.masters)
        self._first = [mean.clone() for mean in self._mean.means]
        self._seen: dict[int, list[torch.Tensor]] = {}
        self._progress = progress
        self._taken = 0
        self._reached = -math.inf
        self._goal = None if config.turns else _goal(config, run)
        if config.copied_psnr and self._goal and self._goal.wanted < config.copied_psnr:
            progress.log(
                f"The goal is {self._goal.wanted:.1f} dB: of the wanted {config.copied_psnr:g} the VAE shows "
                f"{self._goal.wanted + BELOW_CEILING:.1f} at most."
            )
        self.steering = self._at(config.learning_rate)
        if config.turns:
            self.steering.turns = list(config.turns)

    def begin(self, take_step: Callable[[int, float], object], held_loss: Callable[[], float]) -> None:
        """Find the rate; the model is afterwards as it was.

        Raises
        ------
        CopierError
            Nothing is learned at any rate, or the loss is no number before the first step.
        """
        self._progress.log("Finding the learning rate.")
        test, steps = search(self._config.learning_rate, take_step, held_loss)
        self._progress.paused()
        self._go_back(self.steering.turns[0])
        if len(test.losses) < 2:
            raise CopierError(
                "The loss is no number (NaN) before the first step.",
                "Use fp32 or bf16 for precision, or check checkpoint and base_loras.",
            )
        if test.found is None:
            raise CopierError(
                f"Nothing is learned at any rate from {test.losses[1][0]:.2g} to {test.losses[-1][0]:.2g}.",
                "Raise rank or alpha, or train more layers.",
            )
        self.steering = self._at(test.found)
        self._progress.log(
            f"Learning rate {test.found:g} found in {steps} trial steps: the loss turned at "
            f"{test.losses[-1][0]:.3g}."
        )

    def rate(self, step: int) -> float:
        turn = self._turn_of(step)
        return turn.rate * min(1.0, (step - turn.step + 1) / _RISE)

    def took(self, step: int) -> Decision:
        self._taken = step
        self._mean.add()
        for turn in self._config.turns:
            if turn.back_to == step:
                self._remember(step)
            if turn.step == step:
                self._go_back(turn)
        if self._goal is None or step % self._config.copied_every and step < self._config.last_step:
            return "on"
        return self._look(self._goal, step)

    def lost(self, step: int, loss: float) -> Decision:
        if self._config.turns:
            return "on"
        decision = self.steering.lost(step, loss, self._taken)
        if decision in ("back", "spent"):
            self._progress.log(f"Training diverged near step {step}.")
        return self._follow(decision)

    @contextmanager
    def kept(self) -> Iterator[None]:
        with self._mean.in_place(self._seen.get(self.steering.best_step)):
            yield

    def told(self) -> dict[str, Any]:
        steering = self.steering
        told = {"learning_rate": steering.turns[0].rate, "turns": [vars(turn) for turn in steering.turns]}
        if self._goal is None:
            return told
        return told | {
            "kept_step": steering.best_step,
            "score_db": round(self._reached, 2) if math.isfinite(self._reached) else None,
            "goal_db": round(self._goal.wanted, 2),
            "is_reached": self._reached >= self._goal.wanted,
        }

    def stored(self) -> dict[str, Any]:
        return {
            "steering": self.steering.stored(),
            "reached": self._reached,
            "goal": self._goal.wanted if self._goal else 0.0,
            "mean": self._mean.means,
            "mean_steps": self._mean.steps,
            "seen": self._seen,
        }

    def restore(self, stored: Mapping[str, Any]) -> None:
        turns = self.steering.turns if self._config.turns else None
        self.steering = Steering.restored(stored["steering"])
        if turns:
            self.steering.turns = turns
        if self._goal and self._goal.wanted > stored["goal"]:
            self.steering = self.steering.extended()
        self._reached = float(stored["reached"])
        for mean, value in zip(self._mean.means, stored["mean"], strict=True):
            mean.copy_(value)
        self._mean.steps = int(stored["mean_steps"])
        self._seen = {
            int(step): [value.to(mean.device) for mean, value in zip(self._mean.means, means, strict=True)]
            for step, means in stored["seen"].items()
        }

    def _at(self, rate: float) -> Steering:
        return Steering(rate, best=self._goal.first if self._goal else -math.inf)

    def _look(self, goal: Goal, step: int) -> Decision:
        with self._mean.in_place():
            self._network.publish()
            sight = goal.look(step)
        # Who begins anew must have the steps for it.
        least_steps = goal.least_steps if step + goal.least_steps <= self._config.steps else 0
        decision = self.steering.saw(step, sight.score, sight.is_reached, least_steps)
        if self.steering.best_step == step:
            self._seen = {}
            self._remember(step)
            self._reached = sight.reached
        if isinstance(goal, CopyGoal):
            self._progress.copied(step, goal.found, goal.wanted)
        else:
            told = f"Step {step}: {sight.reached:.1f} dB of the edit learned, {goal.wanted:g} wanted."
            self._progress.log(told)
        self._progress.paused()
        return self._follow(decision)

    def _follow(self, decision: Decision) -> Decision:
        if decision == "back":
            turn = self.steering.turns[-1]
            self._go_back(turn)
            place = "On" if turn.back_to == turn.step else f"Back to step {turn.back_to}, on"
            self._progress.log(f"{place} at the learning rate {turn.rate:.3g}.")
        return decision

    def _remember(self, step: int) -> None:
        self._seen[step] = [mean.clone() for mean in self._mean.means]

    def _go_back(self, turn: Turn) -> None:
        """Begin the turn: at the mean of now, at one that was kept, or at the LoRA's first weights."""
        weights = self._seen.get(turn.back_to, self._first)
        if turn.back_to == turn.step and turn.step > 0:
            weights = self._mean.means
        with torch.no_grad():
            torch._foreach_copy_(self._network.masters, list(weights))
        restart(self._optimizer)
        self._mean.begin()

    def _turn_of(self, step: int) -> Turn:
        return next(turn for turn in reversed(self.steering.turns) if turn.step <= step)


def _goal(config: TrainConfig, run: Prepared) -> Goal | None:
    """What the training is for: a copy, an edit, or nothing that can be looked at."""
    if config.copied_psnr is not None and run.painter is not None:
        return CopyGoal(run, run.painter, config.own_unseen_prompts, config.copied_psnr)
    if any(picture.origin is not None for picture in run.pictures):
        return EditGoal(HeldLoss(config, run), run.step.network)
    return None
