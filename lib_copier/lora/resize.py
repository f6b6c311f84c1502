"""A LoRA at a lower rank: every layer the best approximation there is, and what that costs."""

from __future__ import annotations

from dataclasses import replace

from lib_copier.lora.approximate import Term, best_layer
from lib_copier.lora.combine import Progress, run_layers
from lib_copier.lora.device import CPU, Device
from lib_copier.lora.layer import Layer, Lora
from lib_copier.lora.lowrank import product_energy, squared_distance
from lib_copier.lora.precision import save_dtype, stored_as
from lib_copier.lora.rank import RankPolicy, check_reachable
from lib_copier.lora.report import LayerResult, Report


def resize(
    lora: Lora,
    policy: RankPolicy,
    *,
    save_precision: str | None = "fp16",
    device: Device = CPU,
    progress: Progress | None = None,
) -> tuple[Lora, Report]:
    """Lower the rank of every layer as the policy says; no layer's rank is ever raised.

    alpha / rank stays what it was, so the strength does too. A layer whose rank already is low
    enough keeps its very factors.

    Raises
    ------
    InputError
        Where the rank is above what any layer could have.
    """
    check_reachable(policy, list(lora.layers.values()))
    dtype = save_dtype(save_precision, "F16")

    def work(name: str) -> tuple[Layer, LayerResult]:
        layer = lora.layers[name]
        limit = policy.limit(layer)
        smaller, result = best_layer(
            name,
            [Term(layer)],
            lambda values: policy.choose(values, limit),
            dtype=dtype,
            keeps_scale=True,
            device=device,
        )
        if smaller.rank < layer.rank:
            return smaller, result
        return _unchanged(layer, result, dtype)

    results = run_layers(work, lora.layers, progress, device)
    report = Report("resize", tuple(result for _, result in results.values()), _remarks(lora, policy))
    return lora.with_layers({name: layer for name, (layer, _) in results.items()}), report


def _unchanged(layer: Layer, result: LayerResult, dtype: str) -> tuple[Layer, LayerResult]:
    """The layer as it was; its only error is rounding, where it is saved in a shorter type."""
    up, down = stored_as(layer.up, dtype), stored_as(layer.down, dtype)
    mid = None if layer.mid is None else stored_as(layer.mid, dtype)
    stored = replace(layer, up=up, down=down, mid=mid)
    is_same = (up.dtype, down.dtype) == (layer.up.dtype, layer.down.dtype)
    squared = 0.0
    if not is_same:
        exact = layer.factors()
        distance = squared_distance(*exact, *stored.factors(), product_energy(*exact))
        squared = layer.scale**2 * distance
    return stored, replace(result, rank=layer.rank, squared_error=squared, cut=0.0)


def _remarks(lora: Lora, policy: RankPolicy) -> tuple[str, ...]:
    """What the user should know before using the result."""
    if policy.method is None and all(layer.rank <= policy.limit(layer) for layer in lora.layers.values()):
        return (f"no layer has a rank above {policy.rank}: nothing was lowered",)
    return ()
