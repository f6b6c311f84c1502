"""The training step as CUDA graphs: recorded once a picture size, then one launch a step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lib_copier.train.step import Batch, StepResult, TrainingStep

_WARM_UP_STEPS = 3
"""Runs before recording: libraries choose their kernels, the optimiser makes its memory."""
_MOST_RECORDINGS = 8
"""Picture sizes that are kept recorded at once; the one that was not used for longest gives way."""


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    inputs: Batch
    result: StepResult


class RecordedStep:
    """Gives the same numbers as the `TrainingStep` it records, without its launch costs.

    All recordings share one memory pool: they run one after another and keep nothing but their results.
    A step that cannot be recorded runs plainly from then on, which is told to `log` once.
    """

    def __init__(self, step: TrainingStep, log: Callable[[str], None] = lambda text: None) -> None:
        self._step = step
        self._log = log
        self._recordings: OrderedDict[tuple[torch.Size | None, ...], _Recording] = OrderedDict()
        self._pool: Any = None
        self._is_plain = False

    def __call__(self, batch: Batch) -> StepResult:
        recording = None if self._is_plain else self._recording(batch)
        if recording is None:
            return self._step(batch)
        for static, fresh in zip(recording.inputs.tensors(), batch.tensors(), strict=True):
            static.copy_(fresh, non_blocking=True)
        recording.graph.replay()
        return recording.result

    def _recording(self, batch: Batch) -> _Recording | None:
        """The recording of this size, made where there is none; None where it cannot be."""
        if batch.shape in self._recordings:
            self._recordings.move_to_end(batch.shape)
            return self._recordings[batch.shape]
        if len(self._recordings) == _MOST_RECORDINGS:
            torch.cuda.synchronize()  # The one that goes may still be running.
            self._recordings.popitem(last=False)
        try:
            made = self._recordings[batch.shape] = self._record(batch)
        except RuntimeError as error:
            # Some libraries' kernels cannot be recorded, and a recording needs memory of its own.
            self._is_plain = True
            self._recordings.clear()
            self._step.network.clear_gradients()
            reason = str(error).partition("\n")[0]
            self._log(f"Steps cannot be recorded on this GPU and run one by one: {reason}")
            return None
        return made

    def _record(self, batch: Batch) -> _Recording:
        inputs = batch.copy()
        self._warm_up(inputs)
        graph = torch.cuda.CUDAGraph()
        self._step.network.clear_gradients()
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self._pool):
            result = self._step(inputs)
        return _Recording(graph, inputs, result)

    def _warm_up(self, inputs: Batch) -> None:
        """Run the step on a side stream, then put back everything that it moved."""
        before = [(tensor, tensor.detach().clone()) for tensor in self._step.changing_tensors()]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP_STEPS):
                    self._step(inputs)
        finally:
            torch.cuda.current_stream().wait_stream(stream)
            known = {id(tensor) for tensor, _ in before}
            with torch.no_grad():
                for tensor, value in before:
                    tensor.copy_(value)
                for tensor in self._step.changing_tensors():
                    if id(tensor) not in known:
                        tensor.zero_()  # Made by the warm-up: AdamW's moments and count start at zero.
