"""What an operation did to a LoRA, layer by layer: its error, its energy, and how that is told."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_copier.lora.metadata import ERROR_KEY

# Ranks at which the energy kept is told.
_TOLD_RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class LayerResult:
    """One layer: rank before and after, and squared Frobenius norms.

    `energy` is the exact result's, `squared_error` that of stored minus exact, rounding to the
    save precision included; `cut` the part of it that no layer of this rank could avoid; `inner`
    the inner product of the stored change with the exact one, where it is merged into weights.
    """

    name: str
    old_rank: int
    rank: int
    energy: float
    squared_error: float
    cut: float = 0.0
    singular_values: Sequence[float] = ()
    inner: float = 0.0

    @property
    def error(self) -> float:
        """The relative Frobenius error; 0 for a layer that is zero and stays so."""
        if self.energy == 0.0:
            return 0.0 if self.squared_error == 0.0 else math.inf
        return math.sqrt(self.squared_error / self.energy)

    def energy_kept(self, rank: int) -> float:
        """The part of the squared norm that the best approximation of this rank has."""
        kept = math.fsum(value * value for value in self.singular_values[:rank])
        return min(1.0, kept / self.energy) if self.energy else 1.0


@dataclass(frozen=True)
class Report:
    """All layers of one operation, and remarks that the user should read."""

    command: str
    layers: tuple[LayerResult, ...]
    remarks: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def energy(self) -> float:
        """The squared norm of all layers together."""
        return math.fsum(layer.energy for layer in self.layers)

    @property
    def kept(self) -> float:
        """How far the stored change goes along the exact one: 1 is all of it, 0 nothing."""
        return math.fsum(layer.inner for layer in self.layers) / (self.energy or 1.0)

    @property
    def error(self) -> float:
        """The relative Frobenius error of all layers together."""
        squared = math.fsum(layer.squared_error for layer in self.layers)
        return math.sqrt(squared / self.energy) if self.energy else (0.0 if not squared else math.inf)

    @property
    def worst(self) -> LayerResult | None:
        """The layer with the largest relative error."""
        return max(self.layers, key=lambda layer: layer.error, default=None)

    @property
    def least_error(self) -> float:
        """The error that nothing of these ranks could avoid."""
        return math.sqrt(math.fsum(layer.cut for layer in self.layers) / (self.energy or 1.0))

    def energy_by_rank(self) -> dict[int, float]:
        """Rank -> part of the whole LoRA's energy that it keeps, up to the highest rank there is."""
        most = max((len(layer.singular_values) for layer in self.layers), default=0)
        total = math.fsum(layer.energy for layer in self.layers if layer.singular_values)
        if not most or not total:
            return {}
        ranks = [rank for rank in _TOLD_RANKS if rank < most] + [most]
        return {
            rank: math.fsum(
                layer.energy_kept(rank) * layer.energy for layer in self.layers if layer.singular_values
            )
            / total
            for rank in ranks
        }

    def metadata(self) -> dict[str, str]:
        """The error as one entry of a file's metadata."""
        content: dict[str, Any] = {"command": self.command, "relative": _short(self.error)}
        if self.worst is not None:
            content |= {"worst": _short(self.worst.error), "worst_layer": self.worst.name}
        return {ERROR_KEY: json.dumps(content)}

    def as_json(self) -> dict[str, Any]:
        """Everything, as one JSON object."""
        return {
            "command": self.command,
            "relative_error": self.error,
            "least_error": self.least_error,
            "worst": None
            if self.worst is None
            else {"layer": self.worst.name, "relative_error": self.worst.error},
            "layers": len(self.layers),
            "ranks": _counts(layer.rank for layer in self.layers),
            "energy_by_rank": {str(rank): part for rank, part in self.energy_by_rank().items()},
            "remarks": list(self.remarks),
            **self.extra,
        }

    def lines(self, *, verbose: bool = False) -> list[str]:
        """The report for a person."""
        told = [*self.remarks]
        if verbose:
            told += [
                f"{layer.name}: rank {layer.old_rank} -> {layer.rank}, error {layer.error:.3%}"
                for layer in self.layers
            ]
        by_rank = self.energy_by_rank()
        if by_rank:
            kept = ", ".join(f"{rank}: {part:.2%}" for rank, part in by_rank.items())
            told.append(f"energy kept by rank: {kept}")
        ranks = ", ".join(
            f"{rank} ({count} layers)" for rank, count in _counts(x.rank for x in self.layers).items()
        )
        if ranks:
            told.append(f"rank: {ranks}")
        if self.worst is not None:
            told.append(
                f"relative error: {self.error:.4%} (the least possible at this rank: {self.least_error:.4%});"
                f" worst layer {self.worst.error:.4%}, {self.worst.name}"
            )
        return told


def _short(value: float) -> float | None:
    """Three digits, so that metadata stay readable; JSON knows no infinity."""
    return float(f"{value:.3g}") if math.isfinite(value) else None


def _counts(values: Any) -> dict[str, int]:
    counts: dict[int, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return {str(value): counts[value] for value in sorted(counts)}


def plot_energy(report: Report, path: Path) -> None:
    """Draw the energy kept over the rank, for the whole LoRA and for every layer, as a picture file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    layers = [layer for layer in report.layers if layer.singular_values]
    most = max((len(layer.singular_values) for layer in layers), default=1)
    ranks = range(1, most + 1)
    total = math.fsum(layer.energy for layer in layers) or 1.0
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    curves = [[layer.energy_kept(rank) for rank in ranks] for layer in layers]
    for curve in curves:
        axes.plot(ranks, curve, color="0.75", linewidth=0.5)
    whole = [
        math.fsum(curve[rank - 1] * layer.energy for curve, layer in zip(curves, layers, strict=True)) / total
        for rank in ranks
    ]
    axes.plot(ranks, whole, color="tab:blue", linewidth=2, label="whole LoRA")
    axes.set(xlabel="rank", ylabel="energy kept", ylim=(0, 1.02), title="Energy kept by rank (grey: layers)")
    axes.set_xscale("log", base=2)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
