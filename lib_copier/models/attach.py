"""LoRAs on a loaded checkpoint: which modules they change, baked into the weights, or live beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lib_copier.errors import InputError
from lib_copier.lora.layer import Layer, Lora
from lib_copier.lora.names import canonical_name, is_conv_target, is_default_target, kohya_name
from lib_copier.model_file.families import Family
from lib_copier.models.checkpoint import Checkpoint

Weighted = nn.Linear | nn.Conv2d
"""A module that a LoRA layer can change."""


def unet_modules(checkpoint: Checkpoint) -> dict[str, Weighted]:
    """Every linear layer and convolution of the U-Net, by the name of its LoRA layer."""
    return {} if checkpoint.unet is None else _named(checkpoint.family, "unet", checkpoint.unet)


def text_modules(checkpoint: Checkpoint) -> dict[str, Weighted]:
    """Every linear layer of the text encoders, by the name of its LoRA layer."""
    found: dict[str, Weighted] = {}
    if checkpoint.text_encoders:
        for encoder, module in zip(checkpoint.family.text_encoders, checkpoint.text_encoders, strict=True):
            found |= _named(checkpoint.family, encoder.part, module)
    return found


def lora_targets(checkpoint: Checkpoint, *, with_convolutions: bool = False) -> dict[str, Weighted]:
    """The modules that kohya's `networks.lora` trains, U-Net first, by LoRA layer name.

    With `with_convolutions` also what it adds where a rank for 3×3 convolutions is given: the residual
    blocks, the samplers, and their 1×1 convolutions and time projections.
    """
    modules = unet_modules(checkpoint) | text_modules(checkpoint)
    return {
        name: module
        for name, module in modules.items()
        if is_default_target(name) or (with_convolutions and is_conv_target(name))
    }


@torch.no_grad()
def bake(checkpoint: Checkpoint, lora: Lora, weight: float = 1.0, te_weight: float | None = None) -> None:
    """Add a LoRA to the checkpoint's weights in memory; `te_weight` is the text encoder's, else `weight`.

    Sums are formed in float32, whatever the weights are kept in.

    Raises
    ------
    InputError
        If the LoRA was made for another family or another size; the checkpoint is unchanged then.
    """
    text = text_modules(checkpoint)
    for name, (module, layer) in matched(lora, unet_modules(checkpoint) | text, checkpoint.family).items():
        strength = weight if te_weight is None or name not in text else te_weight
        if strength == 0.0:
            continue
        target = module.weight
        up, down = _factors(layer, target.device)
        delta = (up.flatten(1) @ down.flatten(1)).reshape(target.shape)
        baked = torch.empty_like(target).copy_(target.float().add(delta, alpha=strength))
        # Not into the weight itself: another model may share it.
        module.weight = nn.Parameter(baked, requires_grad=target.requires_grad)


def matched(lora: Lora, modules: Mapping[str, Weighted], family: Family) -> dict[str, tuple[Weighted, Layer]]:
    """All of the LoRA's layers, each with the module that it changes.

    Raises
    ------
    InputError
        If a layer has no module here, or not of its shape.
    """
    found: dict[str, tuple[Weighted, Layer]] = {}
    faults = []
    for stored, layer in lora.layers.items():
        name = canonical_name(stored, family)
        module = modules.get(name)
        if module is None:
            faults.append(f"{stored} is no layer of it")
        elif int(np.prod(layer.weight_shape)) != module.weight.numel() or (
            layer.weight_shape[:2] != tuple(module.weight.shape[:2])
        ):
            faults.append(f"{stored} changes {layer.weight_shape}, it has {tuple(module.weight.shape)}")
        else:
            found[name] = (module, layer)
    if faults:
        more = f", and {len(faults) - 2} more" if len(faults) > 2 else ""
        raise InputError(
            f"{lora.name} does not fit this {family.label} checkpoint: {'; '.join(faults[:2])}{more}.",
            "Use a LoRA and a checkpoint of the same family and size.",
        )
    return found


@dataclass(frozen=True)
class _LiveLayer:
    """All LoRAs of one module side by side: `down` (R, in, …), `up` (out, R, …), whose rank each row is."""

    down: torch.Tensor
    up: torch.Tensor
    owners: tuple[tuple[int, int], ...]
    """(index of the LoRA, its rank), in the order of the rows."""

    def by_row(self, weights: torch.Tensor) -> torch.Tensor:
        """Weights (…, LoRAs) as (…, R): each LoRA's for all of its ranks."""
        columns = [index for index, rank in self.owners for _ in range(rank)]
        return weights[:, columns].to(self.down.device, self.down.dtype)


class LiveLora:
    """LoRAs that act in the forward pass, with weights of their own for every row of the batch.

    y = W x + Σ w[row, lora] · scale · up(down(x)): exact, nothing in the model changes, and `remove` takes
    them off. One batch may hold many weights and many LoRAs; the factors of all LoRAs on a module are run
    as one pair of products. Where all rows have the same weights, `merge` spares every pass that.

    Parameters
    ----------
    modules:
        Where to act, by LoRA layer name (`unet_modules` or `text_modules`). Layers of the LoRAs that
        belong elsewhere are left to the other instance.
    """

    def __init__(self, modules: Mapping[str, Weighted], loras: Sequence[Lora], family: Family) -> None:
        own: dict[str, list[tuple[int, Layer]]] = {}
        for index, lora in enumerate(loras):
            for stored, layer in lora.layers.items():
                name = canonical_name(stored, family)
                if name in modules:
                    own.setdefault(name, []).append((index, layer))
        self._rows: dict[tuple[tuple[int, int], ...], torch.Tensor] | None = None
        self._merged: list[tuple[Weighted, torch.Tensor]] = []
        self._modules = {name: modules[name] for name in own}
        self._layers = {name: _side_by_side(modules[name], layers) for name, layers in own.items()}
        self._handles = [
            modules[name].register_forward_hook(self._hook(layer)) for name, layer in self._layers.items()
        ]

    def __len__(self) -> int:
        return len(self._layers)

    def set_weights(self, weights: torch.Tensor | None) -> None:
        """Say with which weights (rows of the batch, LoRAs) the next passes run; None: without LoRAs.

        One row stands for any batch.
        """
        while self._merged:
            module, weight = self._merged.pop()
            module.weight = weight
        if weights is None or not torch.any(weights):
            self._rows = None
            return
        self._rows = {}
        for layer in self._layers.values():
            if layer.owners not in self._rows:
                self._rows[layer.owners] = layer.by_row(weights)

    @torch.no_grad()
    def merge(self, weights: torch.Tensor) -> None:
        """Let the next passes run with these weights (LoRAs) in all rows: W + Σ w · scale · up down.

        They stay in the weights until `set_weights` is called. Sums round as the modules' format does.
        """
        self.set_weights(None)
        for name, layer in self._layers.items():
            module = self._modules[name]
            own = module.weight
            delta = (layer.up.flatten(1) * layer.by_row(weights[None])) @ layer.down.flatten(1)
            self._merged.append((module, own))
            # Not into the weight itself: another model may share it.
            module.weight = nn.Parameter(own + delta.reshape(own.shape), requires_grad=False)

    def remove(self) -> None:
        """Take the LoRAs off; the model is as it was."""
        self.set_weights(None)
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _hook(self, layer: _LiveLayer) -> Callable[..., torch.Tensor]:
        def linear(module: nn.Linear, args: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
            if self._rows is None:
                return output
            hidden = F.linear(args[0], layer.down)
            weights = self._rows[layer.owners]
            hidden *= weights if hidden.ndim == 2 else weights[:, None]
            return output + F.linear(hidden, layer.up)

        def convolution(module: nn.Conv2d, args: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
            if self._rows is None:
                return output
            hidden = F.conv2d(args[0], layer.down, None, module.stride, module.padding)
            hidden *= self._rows[layer.owners][:, :, None, None]
            return output + F.conv2d(hidden, layer.up)

        return linear if layer.down.ndim == 2 else convolution


def _side_by_side(module: Weighted, layers: Sequence[tuple[int, Layer]]) -> _LiveLayer:
    weight = module.weight
    ups, downs, owners = [], [], []
    for index, layer in layers:
        up, down = _factors(layer, weight.device)
        rank = down.shape[0]
        kernel = weight.shape[2:]
        ups.append(up.reshape(up.shape[0], rank, *[1] * len(kernel)))
        downs.append(down.reshape(rank, weight.shape[1], *kernel))
        owners.append((index, rank))
    return _LiveLayer(
        torch.cat(downs).to(weight.dtype), torch.cat(ups, dim=1).to(weight.dtype), tuple(owners)
    )


def _factors(layer: Layer, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Float32 (out, r) with the layer's scale in it, and (r, in · k · k)."""
    up, down = layer.factors()
    return (
        torch.from_numpy((up * layer.scale).astype(np.float32)).to(device),
        torch.from_numpy(down.astype(np.float32)).to(device),
    )


def _named(family: Family, part: str, root: nn.Module) -> dict[str, Weighted]:
    return {
        kohya_name(family, part, path): module
        for path, module in root.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d))
    }
