"""The training step as a CUDA graph: recorded once a picture size, then one launch a step."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lib_copier.train.step import Batch, StepResult, TrainingStep

_WARM_UP_STEPS = 3
"""Runs before recording: libraries choose their kernels, the optimiser makes its memory."""


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    inputs: Batch
    result: StepResult


class RecordedStep:
    """Gives the same numbers as the `TrainingStep` it records, without its launch costs."""

    def __init__(self, step: TrainingStep) -> None:
        self._step = step
        self._recordings: dict[tuple[torch.Size | None, ...], _Recording] = {}

    def __call__(self, batch: Batch) -> StepResult:
        if batch.shape not in self._recordings:
            self._recordings[batch.shape] = self._record(batch)
        recording = self._recordings[batch.shape]
        for static, fresh in zip(recording.inputs.tensors(), batch.tensors(), strict=True):
            static.copy_(fresh, non_blocking=True)
        recording.graph.replay()
        return recording.result

    def _record(self, batch: Batch) -> _Recording:
        inputs = batch.copy()
        self._warm_up(inputs)
        graph = torch.cuda.CUDAGraph()
        self._step.network.clear_gradients()
        with torch.cuda.graph(graph):
            result = self._step(inputs)
        return _Recording(graph, inputs, result)

    def _warm_up(self, inputs: Batch) -> None:
        """Run the step on a side stream, then put back everything that it moved."""
        before = [(tensor, tensor.detach().clone()) for tensor in self._step.changing_tensors()]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_STEPS):
                self._step(inputs)
        torch.cuda.current_stream().wait_stream(stream)
        known = {id(tensor) for tensor, _ in before}
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
            for tensor in self._step.changing_tensors():
                if id(tensor) not in known:
                    tensor.zero_()  # Made by the warm-up: AdamW's moments and count start at zero.
