"""Optimisers at work: torch's AdamW at its fastest, others by their packages; and their learning rates."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lib_copier.errors import InputError
from lib_copier.settings.optimizers import OPTIMIZERS, optimizer_arguments

if TYPE_CHECKING:
    import torch


def missing_package(name: str) -> list[str]:
    """A fault where an optimiser's package is not installed, found without importing it."""
    entry = OPTIMIZERS.get(name)
    if entry is None or importlib.util.find_spec(entry.module.partition(".")[0]) is not None:
        return []
    return [
        f"optimizer {name} needs the package {entry.package}, which is not installed: install it "
        f"(pip install {entry.package}) or use adamw"
    ]


def make_optimizer(
    name: str, arguments: Sequence[str], groups: Sequence[dict[str, Any]], *, capturable: bool = False
) -> torch.optim.Optimizer:
    """Build one of the listed optimisers over parameter groups, each with its own ``lr``.

    Parameters
    ----------
    arguments:
        ``NAME=VALUE`` texts.
    capturable:
        Its step is to be recorded in a CUDA graph; AdamW alone can be.

    Raises
    ------
    InputError
        It is not in the list, its package is missing or broken, or the arguments do not suit it.
    """
    try:
        options = optimizer_arguments(name, arguments)
        entry = OPTIMIZERS[name]
        kind = getattr(importlib.import_module(entry.module), entry.kind)
        if name == "adamw":
            options = {"capturable": capturable, **_fastest(groups), **options}
        optimizer = kind(groups, **options)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"The optimiser {name} cannot be loaded: {error}.", f"Install {entry.package}, or use adamw."
        ) from None
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The optimiser {name} refuses its options: {error}.", "Mend optimizer_args."
        ) from None
    if hasattr(optimizer, "eval"):
        optimizer.train()
    return optimizer


@contextmanager
def averaged(optimizer: Any) -> Iterator[None]:
    """Within it the weights are those to use: schedule-free optimisers train beside their average."""
    if not hasattr(optimizer, "eval"):
        yield
        return
    optimizer.eval()
    try:
        yield
    finally:
        optimizer.train()


def restart(optimizer: Any) -> None:
    """Forget the past steps; memory that a recorded step knows stays where it is."""
    import torch

    if not isinstance(optimizer, torch.optim.AdamW):
        optimizer.state.clear()
        return
    for state in optimizer.state.values():
        for value in state.values():
            value.zero_()


def takes_gradient_scale(optimizer: torch.optim.Optimizer) -> bool:
    """Whether its step divides by ``grad_scale`` and skips on ``found_inf`` itself: torch's fused ones do."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def _fastest(groups: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """One fused kernel where this torch has one for the device, else the multi-tensor form."""
    import torch

    on_cpu = groups[0]["params"][0].device.type == "cpu"
    has_fused = not on_cpu or hasattr(torch.ops.aten, "_fused_adamw_") and _version(torch) >= (2, 4)
    return {"fused": True} if has_fused else {"foreach": True}


def _version(torch_module: Any) -> tuple[int, int]:
    major, minor = torch_module.__version__.split(".")[:2]
    return int(major), int(minor)


def lr_factor(scheduler: str, step: int, steps: int, warmup_steps: int) -> float:
    """The factor on the learning rate at `step` (counted from 0), in [0, 1].

    Rises linearly from 0 over the warm-up (so the very first step of a warm-up changes nothing, as in
    the schedules of sd-scripts), then stays (``constant``) or falls to 0 at `steps` (``linear``, ``cosine``).
    """
    if step < warmup_steps:
        return step / warmup_steps
    if scheduler == "constant":
        return 1.0
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    if scheduler == "linear":
        return max(0.0, 1.0 - done)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
