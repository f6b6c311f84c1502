"""Brings losses back without stopping the device: each is copied behind its step, read when there."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch

from lib_copier.train.step import StepResult

_STEPS_IN_FLIGHT = 16
"""How far the host may run ahead of the GPU: enough to keep it fed, and a stop still comes at once."""


@dataclass(frozen=True)
class FinishedStep:
    """A step (counted from 1) whose numbers have arrived."""

    step: int
    loss: float
    was_skipped: bool


class Readback:
    """First in, first out; on the CPU every step comes straight back."""

    def __init__(self, device: torch.device) -> None:
        self._on_cuda = device.type == "cuda"
        self._waiting: deque[tuple[int, int, torch.cuda.Event]] = deque()
        if self._on_cuda:
            self._slots = torch.zeros(_STEPS_IN_FLIGHT, 2).pin_memory()

    def push(self, step: int, result: StepResult) -> list[FinishedStep]:
        """Hand in a step that was launched; returns those that have finished since."""
        if not self._on_cuda:
            return [FinishedStep(step, float(result.loss), bool(result.skipped))]
        finished = self._collect(wait_for=1) if len(self._waiting) == _STEPS_IN_FLIGHT else []
        slot = step % _STEPS_IN_FLIGHT
        self._slots[slot, 0].copy_(result.loss, non_blocking=True)
        self._slots[slot, 1].copy_(result.skipped, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._waiting.append((step, slot, event))
        return finished + self._collect()

    def drain(self) -> list[FinishedStep]:
        """Wait for all that is still under way."""
        return self._collect(wait_for=len(self._waiting))

    def _collect(self, wait_for: int = 0) -> list[FinishedStep]:
        finished: list[FinishedStep] = []
        while self._waiting and (len(finished) < wait_for or self._waiting[0][2].query()):
            step, slot, event = self._waiting.popleft()
            event.synchronize()
            loss, skipped = self._slots[slot].tolist()
            finished.append(FinishedStep(step, loss, bool(skipped)))
        return finished
