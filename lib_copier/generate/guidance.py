"""The guided U-Net of one batch: clean pictures out of noisy ones, with and without prompt in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from lib_copier.models.checkpoint import Checkpoint
from lib_copier.models.text import PromptEmbedding, stack, time_ids


class GuidedDenoiser:
    """`denoise(x, step)` for the samplers.

    Pictures whose guidance scale is 1 need no pass without prompt, and have none.

    Parameters
    ----------
    positive, negative:
        Embeddings of the B prompts, and of the negative prompts of the pictures that are guided, in order.
    scales:
        The B guidance scales.
    times:
        Time step of every step, (steps,) on the CPU; `sigmas` its noise level.
    on_step:
        Called before every pass with the step's number; may raise to stop.
    states:
        Gets every `x` (B, C, h, w) that is asked about, where it is given.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        positive: PromptEmbedding,
        negative: PromptEmbedding | None,
        *,
        scales: Sequence[float],
        sigmas: Sequence[float],
        times: torch.Tensor,
        size: tuple[int, int],
        on_step: Callable[[int], None],
        states: list[torch.Tensor] | None = None,
    ) -> None:
        device = checkpoint.device
        self._unet, self._dtype = checkpoint.unet, checkpoint.dtype
        self._is_velocity = checkpoint.prediction_type == "v_prediction"
        self._sigmas, self._on_step, self._states = sigmas, on_step, states
        self._times = times.to(device)
        self._count = len(scales)
        guided = guided_rows(scales)
        text = positive if negative is None else stack([positive, negative])
        self._rows = torch.tensor([*range(self._count), *guided], device=device)
        self._guided = torch.tensor(guided, device=device)
        self._scales = torch.tensor([scales[row] for row in guided], device=device).reshape(-1, 1, 1, 1)
        self._arguments: dict[str, Any] = {
            "encoder_hidden_states": text.hidden.to(self._dtype),
            "encoder_attention_mask": text.mask(),
            "return_dict": False,
        }
        if text.pooled is not None:
            self._arguments["added_cond_kwargs"] = {
                "text_embeds": text.pooled.to(self._dtype),
                "time_ids": time_ids(size, device).expand(len(text.pooled), -1),
            }

    def __call__(self, x: torch.Tensor, step: int) -> torch.Tensor:
        self._on_step(step)
        if self._states is not None:
            self._states.append(x)
        sigma = self._sigmas[step]
        scaled = x[self._rows] * (sigma**2 + 1.0) ** -0.5
        answer = self._unet(scaled.to(self._dtype), self._times[step], **self._arguments)[0].float()
        plain = answer[: self._count]
        if len(self._guided):
            without = answer[self._count :]
            plain = plain.index_copy(
                0, self._guided, without + self._scales * (plain[self._guided] - without)
            )
        if self._is_velocity:
            return x / (sigma**2 + 1.0) - plain * (sigma / (sigma**2 + 1.0) ** 0.5)
        return x - plain * sigma


class _Once(nn.Module):
    """A layer whose first answer is given again."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = layer
        self._answer: torch.Tensor | None = None

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        if self._answer is None:
            self._answer = self._layer(text)
        return self._answer


@contextmanager
def remembered_text(unet: nn.Module) -> Iterator[None]:
    """A block in which all passes of the U-Net have the same prompts: cross-attention reads them once."""
    attentions = [module for module in unet.modules() if getattr(module, "is_cross_attention", False)]
    layers = [(one, name, getattr(one, name)) for one in attentions for name in ("to_k", "to_v")]
    for attention, name, layer in layers:
        setattr(attention, name, _Once(layer))
    try:
        yield
    finally:
        for attention, name, layer in layers:
            setattr(attention, name, layer)


def guided_rows(scales: Sequence[float]) -> list[int]:
    """The pictures that need a pass without prompt."""
    return [row for row, scale in enumerate(scales) if scale != 1.0]
