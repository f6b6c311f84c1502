"""One training step: noise the picture, predict, compare, go back, update; nothing waits for the GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import torch

from lib_copier.models.noise import NoiseSchedule
from lib_copier.train.inject import LoraNetwork
from lib_copier.train.loss import weighted_mse
from lib_copier.train.update import Updater


@dataclass(frozen=True)
class Batch:
    """What one step works on, all on the model's device.

    `latents` (1, C, h, w) fp32, or (B, C, h, w) where each copy is of another picture; `noise` (B, C, h, w)
    fp32; `timesteps` (B,) int64; `captions` (B,) int64, rows of the conditioning; `mask` (1, 1, h, w) fp32 or
    None; `time_ids` (1, 6) or None (SDXL's sizes); `origin` as `latents`, before the edit, or None; `printed`
    (B, C, h, w) fp32 is what the model predicts for it, None where it is yet to be asked.
    """

    latents: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    captions: torch.Tensor
    mask: torch.Tensor | None = None
    time_ids: torch.Tensor | None = None
    origin: torch.Tensor | None = None
    printed: torch.Tensor | None = None

    @property
    def shape(self) -> tuple[torch.Size | None, ...]:
        """The fields' shapes; None for what is not there."""
        found = (getattr(self, field.name) for field in fields(self))
        return tuple(None if tensor is None else tensor.shape for tensor in found)

    def tensors(self) -> list[torch.Tensor]:
        """The tensors that are there, in the order of the fields."""
        found = [getattr(self, field.name) for field in fields(self)]
        return [tensor for tensor in found if tensor is not None]

    def rows(self, rows: slice) -> Batch:
        """Some of its samples; what all samples share stays."""
        count = len(self.noise)
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        own = {name: one for name, one in found.items() if one is not None and len(one) == count}
        return replace(self, **{name: one[rows] for name, one in own.items()})

    def copy(self) -> Batch:
        """The same values in memory of its own."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: one.clone() for name, one in found.items() if one is not None})


@dataclass(frozen=True)
class Guidance:
    """How the model is asked along a walk: at this scale against a row of the conditioning.

    `shares` (1000,): how much of its change the clean picture shows at each time step; `leads` (1000,): how
    much of it the state has there. With `is_blank` that row is of no prompt, which SDXL learned as zeros.
    """

    scale: float
    without: int
    shares: torch.Tensor
    leads: torch.Tensor
    is_blank: bool = False


@dataclass(frozen=True)
class StepResult:
    """Scalars on the device: the loss, and 1.0 where the update was skipped as not finite."""

    loss: torch.Tensor
    skipped: torch.Tensor


class Conditioning(Protocol):
    """Caption rows -> what the U-Net reads: hidden states (B, T, C) and pooled (B, P) or None."""

    def __call__(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]: ...


class TrainingStep:
    """A step on the plain path; `graph.RecordedStep` replays the same as one CUDA graph.

    Of a picture with its origin it learns the change from one to the other, and with `opposite` of half a
    batch at weight −1 the opposite change. Noise and errors of the model are in target and prediction alike:
    they cancel, and a few pictures teach no more than their change. `weights` are those of `TimeSteps`.
    With `guidance` it learns what people see: the guided answer, at the states of the model's own walk.
    """

    def __init__(
        self,
        unet: Any,
        conditioning: Conditioning,
        network: LoraNetwork,
        updater: Updater,
        schedule: NoiseSchedule,
        weights: torch.Tensor | None,
        *,
        opposite: bool = False,
        guidance: Guidance | None = None,
    ) -> None:
        self.network = network
        self.updater = updater
        self._unet = unet
        self._dtype = next(unet.parameters()).dtype
        self._conditioning = conditioning
        self._schedule = schedule
        self._weights = weights
        self._opposite = opposite
        self._guidance = guidance

    def __call__(self, batch: Batch) -> StepResult:
        self.network.publish()
        self.network.clear_gradients()
        found = []
        for loss in self._losses(batch):
            # Each within its own sign of the LoRA: activations that are computed again need it too.
            (loss * self.updater.scale.value).backward()
            found.append(loss.detach())
        loss = torch.stack(found).sum()
        skipped = self.updater.apply(self.network.gradients(), loss)
        return StepResult(loss, skipped)

    def loss(self, batch: Batch) -> torch.Tensor:
        """The loss of a batch, a scalar with a graph behind it."""
        return torch.stack(list(self._losses(batch))).sum()

    def _losses(self, batch: Batch) -> Iterator[torch.Tensor]:
        """The parts of the loss, each to be used before the next is taken."""
        if batch.origin is None:
            target = self._schedule.target(batch.latents, batch.noise, batch.timesteps)
            yield self._compared(batch, batch.latents, target)
            return
        printed = self.printed(batch, batch.origin) if batch.printed is None else batch.printed
        if not self._opposite:
            yield self._change(batch, printed)
            return
        # Samples that are each at one sign teach more than half as many at both; an odd one is at both.
        half = (len(printed) + 1) // 2
        yield 0.5 * self._change(batch.rows(slice(half)), printed[:half])
        with self.network.turned():
            yield 0.5 * self._change(batch.rows(slice(-half, None)), printed[-half:], sign=-1.0)

    def _compared(self, batch: Batch, clean: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        noisy = self._schedule.add_noise(clean, batch.noise, batch.timesteps)
        weight = None if self._weights is None else self._weights[batch.timesteps]
        return weighted_mse(self._predict(noisy, batch).float(), target, batch.mask, weight)

    @torch.no_grad()
    def printed(self, batch: Batch, origin: torch.Tensor) -> torch.Tensor:
        """What the model without the LoRA predicts for the origin, (B, C, h, w) fp32."""
        noisy = self._schedule.add_noise(origin, batch.noise, batch.timesteps)
        with self.network.silent():
            return self._predict(noisy, batch).float()

    def _change(self, batch: Batch, printed: torch.Tensor, sign: float = 1.0) -> torch.Tensor:
        """The loss against that prediction moved by the edit: a better target than the edited picture itself.

        Neither a copier nor a model is ever complete. Against the plain target the LoRA would learn what the
        model lacks as well, and print the picture; against this one nothing but the edit is left to learn.
        """
        assert batch.origin is not None
        shown = wanted = sign * (batch.latents - batch.origin)
        if self._guidance is not None:
            guidance, places = self._guidance, (-1, 1, 1, 1)
            shown = shown * guidance.leads[batch.timesteps].reshape(places)
            wanted = wanted * guidance.shares[batch.timesteps].reshape(places)
        answer = self._schedule.answer_to(shown, wanted, batch.timesteps)
        return self._compared(batch, batch.origin + shown, printed + answer)

    def _predict(self, noisy: torch.Tensor, batch: Batch) -> torch.Tensor:
        guidance = self._guidance
        if guidance is None or guidance.scale == 1.0:
            return self._asked(noisy, batch)
        captions = torch.cat([batch.captions, torch.full_like(batch.captions, guidance.without)])
        both = replace(batch, captions=captions, timesteps=batch.timesteps.repeat(2))
        prompted, without = self._asked(noisy.repeat(2, 1, 1, 1), both).chunk(2)
        return without + guidance.scale * (prompted - without)

    def _asked(self, noisy: torch.Tensor, batch: Batch) -> torch.Tensor:
        hidden, pooled = self._conditioning(batch.captions)
        if self._guidance is not None and self._guidance.is_blank:
            is_there = batch.captions.ne(self._guidance.without).to(hidden.dtype)
            hidden = hidden * is_there.reshape(-1, 1, 1)
            pooled = None if pooled is None else pooled * is_there.reshape(-1, 1)
        added = None
        if pooled is not None and batch.time_ids is not None:
            added = {"text_embeds": pooled, "time_ids": batch.time_ids.expand(len(pooled), -1)}
        return self._unet(
            noisy.to(self._dtype), batch.timesteps, hidden, added_cond_kwargs=added, return_dict=False
        )[0]

    def changing_tensors(self) -> list[torch.Tensor]:
        """Every tensor that a step moves: weights, the optimiser's memory, the loss scale."""
        moments = [
            value
            for state in self.updater.optimizer.state.values()
            for value in state.values()
            if isinstance(value, torch.Tensor)
        ]
        scale = self.updater.scale
        return [*self.network.masters, scale.value, scale.good_steps, *moments]
