"""Which rank a layer gets: fixed, or by what its singular values say."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from lib_copier.errors import InputError
from lib_copier.lora.layer import WeightChange

DYNAMIC_METHODS = ("sv_ratio", "sv_fro", "sv_cumulative")


@dataclass(frozen=True)
class RankPolicy:
    """A rank for linear and 1x1 layers, one for wider convolutions, and how each layer may stay below.

    With a dynamic method the ranks are upper limits, and `param` says how much of a layer is kept:

    - ``sv_ratio``: singular values above the largest divided by `param` (> 1);
    - ``sv_cumulative``: until their sum reaches the part `param` of all (0 … 1);
    - ``sv_fro``: until the Frobenius norm reaches the part `param` of the whole (0 … 1).
    """

    rank: int
    conv_rank: int | None = None
    method: str | None = None
    param: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("new_rank", self.rank), ("new_conv_rank", self.conv_rank)):
            if value is not None and value < 1:
                raise InputError(f"--{name} is {value}.", "Give a rank of 1 or more.")
        if self.method is None:
            return
        if self.method not in DYNAMIC_METHODS:
            raise InputError(
                f"Unknown --dynamic_method {self.method}.", f"Use one of {', '.join(DYNAMIC_METHODS)}."
            )
        if self.param is None:
            raise InputError("--dynamic_method needs --dynamic_param.", "Give it, for example 0.9.")
        if self.method == "sv_ratio" and not self.param > 1:
            raise InputError(f"--dynamic_param is {self.param}.", "For sv_ratio give a number above 1.")
        if self.method != "sv_ratio" and not 0 < self.param <= 1:
            raise InputError(
                f"--dynamic_param is {self.param}.", f"For {self.method} give a part between 0 and 1."
            )

    def limit(self, layer: WeightChange) -> int:
        """The highest rank that this layer may get."""
        return self.conv_rank if layer.is_spatial and self.conv_rank is not None else self.rank

    def choose(self, values: Sequence[float], limit: int) -> int:
        """The rank for a layer with these singular values (largest first, at least one)."""
        if self.method is None or self.param is None:
            return limit
        if self.method == "sv_ratio":
            count = sum(value > values[0] / self.param for value in values)
        else:
            power, target = (1, self.param) if self.method == "sv_cumulative" else (2, self.param**2)
            sums = list(itertools.accumulate(value**power for value in values))
            # The last sum is the whole by definition, whatever rounding says.
            count = 1 + sum(part < target * sums[-1] for part in sums[:-1])
        return max(1, min(count, limit))


def check_reachable(policy: RankPolicy, layers: Sequence[WeightChange]) -> None:
    """Refuse a rank that no layer could have: it is a typing error.

    Raises
    ------
    InputError
        Where the rank is above the smaller side of every layer.
    """
    for flag, rank, sizes in (
        ("rank", policy.rank, [min(layer.size) for layer in layers if not layer.is_spatial]),
        ("conv rank", policy.conv_rank, [min(layer.size) for layer in layers if layer.is_spatial]),
    ):
        if rank is not None and sizes and rank > max(sizes):
            raise InputError(
                f"The {flag} {rank} is above the size of every layer (the largest allows {max(sizes)}).",
                "Give a lower rank.",
            )
