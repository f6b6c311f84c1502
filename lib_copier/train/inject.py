"""Trainable LoRA layers on a frozen model: a layer's answer gains scale · up(down(x))."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import regex
import torch
import torch.nn.functional as F
from torch import nn

from lib_copier.errors import InputError
from lib_copier.train.draw import stream

Trainable = nn.Linear | nn.Conv2d
_Forward = Callable[[torch.Tensor], torch.Tensor]
_MOST_SECONDS = 1.0
"""Of one search: a pattern that repeats what repeats may take longer than the training."""


@dataclass(frozen=True)
class Ranks:
    """Rank and alpha of linear layers and 1×1 convolutions, and of 3×3 convolutions (None: left out)."""

    rank: int
    alpha: float
    conv_rank: int | None = None
    conv_alpha: float = 1.0

    def of(self, module: Trainable) -> tuple[int, float] | None:
        """Rank and alpha for a module; None where it is not to be trained."""
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            if self.conv_rank is None:
                return None
            return self.conv_rank, self.conv_alpha
        return self.rank, self.alpha


class LoraLayer:
    """The factors of one layer: fp32 `masters` that the optimiser moves, and what the forward pass reads.

    Where the model computes in fp32 both are the same tensors; else `down` and `up` are copies in the
    model's dtype, refreshed after every update.
    """

    def __init__(self, name: str, module: Trainable, rank: int, alpha: float, seed: int) -> None:
        self.name = name
        self.rank = rank
        self.alpha = alpha
        self.scale = alpha / rank
        weight: torch.Tensor = module.weight
        down, up = initial_factors(name, tuple(weight.shape), rank, seed)
        self.masters = tuple(factor.to(weight.device).requires_grad_() for factor in (down, up))
        if weight.dtype == torch.float32:
            self.down, self.up = self.masters
        else:
            self.down, self.up = (m.detach().to(weight.dtype).requires_grad_() for m in self.masters)


class LoraNetwork:
    """All trained layers of a model, in one order."""

    def __init__(self, layers: Sequence[LoraLayer]) -> None:
        self.layers = tuple(layers)
        self.masters = [factor for layer in layers for factor in layer.masters]
        self.factors = [factor for layer in layers for factor in (layer.down, layer.up)]
        self._is_mixed = any(f is not m for f, m in zip(self.factors, self.masters, strict=True))
        if self._is_mixed:
            for master in self.masters:
                master.grad = torch.zeros_like(master)

    def publish(self) -> None:
        """Let the forward pass see what the optimiser did."""
        if self._is_mixed:
            with torch.no_grad():
                torch._foreach_copy_(self.factors, self.masters)

    def clear_gradients(self) -> None:
        """Forget the gradients of the last backward pass."""
        for factor in self.factors:
            factor.grad = None

    def silent(self) -> AbstractContextManager[None]:
        """Within it the layers add nothing: the model answers as it did before."""
        return self._multiplied(0.0)

    def turned(self) -> AbstractContextManager[None]:
        """Within it the layers take away what they add."""
        return self._multiplied(-1.0)

    @contextmanager
    def _multiplied(self, factor: float) -> Iterator[None]:
        scales = [layer.scale for layer in self.layers]
        try:
            for layer in self.layers:
                layer.scale *= factor
            yield
        finally:
            for layer, scale in zip(self.layers, scales, strict=True):
                layer.scale = scale

    def gradients(self) -> list[torch.Tensor]:
        """The masters' gradients after a backward pass, fp32."""
        if self._is_mixed:
            # One multi-tensor cast; a layer that the pass did not reach keeps a gradient of zero.
            own, fresh = [], []
            for master, factor in zip(self.masters, self.factors, strict=True):
                if master.grad is not None and factor.grad is not None:
                    own.append(master.grad)
                    fresh.append(factor.grad)
            torch._foreach_copy_(own, fresh)
        return [master.grad for master in self.masters if master.grad is not None]


def inject(
    targets: Mapping[str, Trainable], ranks: Ranks, *, seed: int, only: Sequence[str] = ()
) -> LoraNetwork:
    """Give modules trainable LoRA layers.

    Parameters
    ----------
    targets:
        kohya name -> Linear or Conv2d.
    only:
        Regular expressions; a layer is trained where one is found in its name. Empty: all are.

    Raises
    ------
    InputError
        No layer is left, or an expression takes longer than any need.
    """
    layers = []
    for name, module in targets.items():
        found = ranks.of(module)
        if found is None or (only and not _is_one_of(name, only)):
            continue
        rank, alpha = found
        layer = LoraLayer(name, module, rank, alpha, seed)
        forward = _linear(module, layer) if isinstance(module, nn.Linear) else _conv(module, layer)
        module.forward = forward  # type: ignore[method-assign, assignment]
        layers.append(layer)
    if not layers:
        raise InputError(
            f"No layer of the model matches layers = {list(only)}.",
            f"Use expressions found in names such as {next(iter(targets), 'lora_unet_…')}.",
        )
    return LoraNetwork(layers)


def _is_one_of(name: str, patterns: Sequence[str]) -> bool:
    try:
        return any(regex.search(pattern, name, timeout=_MOST_SECONDS) for pattern in patterns)
    except TimeoutError as error:
        raise InputError(
            f"An expression of layers = {list(patterns)} takes too long on {name}.",
            "Write it without repeats in repeats.",
        ) from error


def initial_factors(
    name: str, shape: tuple[int, ...], rank: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """kohya's start: down uniform in ±1/sqrt(fan_in) (kaiming with a = sqrt 5), up zero; fp32.

    Drawn from (seed, layer name), so that neither the picture nor the other layers matter.
    """
    fan_in = math.prod(shape[1:])
    bound = 1.0 / math.sqrt(fan_in)
    values = stream(seed, "lora", name).random((rank, *shape[1:]), dtype="float32")
    down = torch.from_numpy(values).mul_(2.0 * bound).sub_(bound)
    up = torch.zeros(shape[0], rank, *[1] * (len(shape) - 2))
    return down, up


def _linear(module: nn.Linear, layer: LoraLayer) -> _Forward:
    def forward(x: torch.Tensor) -> torch.Tensor:
        y = F.linear(x, module.weight, module.bias)
        hidden = F.linear(x, layer.down)
        # One fused multiply-add in place of product, scaling and sum.
        flat = torch.addmm(y.flatten(0, -2), hidden.flatten(0, -2), layer.up.t(), alpha=layer.scale)
        return flat.view(y.shape)

    return forward


def _conv(module: nn.Conv2d, layer: LoraLayer) -> _Forward:
    def forward(x: torch.Tensor) -> torch.Tensor:
        y = F.conv2d(x, module.weight, module.bias, module.stride, module.padding)
        hidden = F.conv2d(x, layer.down, None, module.stride, module.padding)
        return y + F.conv2d(hidden * layer.scale, layer.up)

    return forward
