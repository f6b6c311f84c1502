"""The optimisers by name: torch's AdamW at its fastest, others through their own packages."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lib_copier.errors import InputError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class OptimizerEntry:
    """Where an optimiser lives: module, class, and the package to install for it."""

    module: str
    name: str
    package: str


OPTIMIZERS: dict[str, OptimizerEntry] = {
    "adamw": OptimizerEntry("torch.optim", "AdamW", "torch"),
    "adamw8bit": OptimizerEntry("bitsandbytes.optim", "AdamW8bit", "bitsandbytes"),
    "lion": OptimizerEntry("lion_pytorch", "Lion", "lion-pytorch"),
    "lion8bit": OptimizerEntry("bitsandbytes.optim", "Lion8bit", "bitsandbytes"),
    "prodigy": OptimizerEntry("prodigyopt", "Prodigy", "prodigyopt"),
    "dadaptadam": OptimizerEntry("dadaptation", "DAdaptAdam", "dadaptation"),
    "came": OptimizerEntry("came_pytorch", "CAME", "came-pytorch"),
    "adafactor": OptimizerEntry("transformers.optimization", "Adafactor", "transformers"),
    "adamwschedulefree": OptimizerEntry("schedulefree", "AdamWScheduleFree", "schedulefree"),
    "radamschedulefree": OptimizerEntry("schedulefree", "RAdamScheduleFree", "schedulefree"),
}


def check_optimizer(name: str, arguments: Sequence[tuple[str, str]]) -> list[str]:
    """Faults of an optimiser's name and arguments, found without importing it."""
    faults = []
    try:
        entry = find_optimizer(name)
    except ValueError as error:
        faults.append(str(error))
    else:
        if importlib.util.find_spec(entry.module.partition(".")[0]) is None:
            faults.append(
                f"optimizer {name!r} needs the package {entry.package}, which is not installed: "
                f"install it (pip install {entry.package}) or use adamw"
            )
    for key, value in arguments:
        try:
            _literal(value)
        except ValueError:
            faults.append(f"optimizer_args {key}={value!r} is no number, text or list")
    return faults


def find_optimizer(name: str) -> OptimizerEntry:
    """The entry of a short name or of a dotted ``package.Class``; raises ValueError for neither."""
    entry = OPTIMIZERS.get(name.lower())
    if entry is not None:
        return entry
    module, _, class_name = name.rpartition(".")
    if module and name.replace(".", "").replace("_", "").isalnum():
        return OptimizerEntry(module, class_name, module.partition(".")[0])
    raise ValueError(f"optimizer {name!r} is unknown: use one of {', '.join(OPTIMIZERS)} or package.Class")


def make_optimizer(
    name: str,
    arguments: Sequence[tuple[str, str]],
    groups: Sequence[dict[str, Any]],
    *,
    capturable: bool = False,
) -> torch.optim.Optimizer:
    """Build an optimiser over parameter groups, each with its own ``lr``.

    Parameters
    ----------
    capturable:
        Its step is to be recorded in a CUDA graph; AdamW alone can be.

    Raises
    ------
    InputError
        The package is missing or broken, or it refuses the arguments.
    """
    entry = find_optimizer(name)
    options = {key: _literal(value) for key, value in arguments}
    try:
        kind = getattr(importlib.import_module(entry.module), entry.name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"The optimiser {name} cannot be loaded: {error}.", f"Install {entry.package}, or use adamw."
        ) from None
    if name.lower() == "adamw":
        options = {"capturable": capturable, **_fastest(groups), **options}
    try:
        optimizer = kind(groups, **options)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The optimiser {name} refuses its options: {error}.", "Mend optimizer_args."
        ) from None
    if "schedulefree" in entry.module:
        optimizer.train()
    return optimizer


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


def _literal(value: str) -> Any:
    """A Python literal, ``true``/``false``/``none`` in any case, or else the bare word itself."""
    words = {"true": True, "false": False, "none": None}
    if value.strip().lower() in words:
        return words[value.strip().lower()]
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        if value.strip().replace("_", "").isalnum():
            return value.strip()
        raise ValueError(value) from None
