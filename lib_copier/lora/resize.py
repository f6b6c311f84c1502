"""A LoRA at a lower rank: every layer the best approximation there is, and what that costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lib_copier.lora.approximate import Term, best_layer, dense_layer
from lib_copier.lora.combine import Progress, check_independent, matrices_of, run_layers
from lib_copier.lora.device import CPU, Device
from lib_copier.lora.layer import Adapter, Layer, Lora
from lib_copier.lora.lowrank import product_energy, squared_distance
from lib_copier.lora.precision import Array, save_dtype, stored_as
from lib_copier.lora.rank import RankPolicy, check_reachable
from lib_copier.lora.report import LayerResult, Report


def resize(
    lora: Adapter,
    policy: RankPolicy,
    *,
    weights: Callable[[str], Array] | None = None,
    may_leave_out: bool = False,
    save_precision: str | None = "fp16",
    device: Device = CPU,
    progress: Progress | None = None,
) -> tuple[Lora, Report]:
    """Lower the rank of every layer as the policy says; what is no plain LoRA becomes one.

    alpha / rank of plain layers stays what it was, so the strength does too. A plain layer whose rank
    already is low enough keeps its very factors.

    Parameters
    ----------
    weights:
        The checkpoint's weight of a layer as a float32 matrix, for kinds that depend on it.
    may_leave_out:
        Go on without the biases and norms that the adapter changes: no LoRA can hold them.

    Raises
    ------
    InputError
        Where the rank is above what any layer could have, or a LoRA cannot hold a change.
    """
    changes, remarks = matrices_of(lora, may_leave_out=may_leave_out)
    if weights is None:
        check_independent(lora.name, changes)
    check_reachable(policy, [layer for layer in changes.values() if not layer.needs_weight])
    dtype = save_dtype(save_precision, "F16")

    def work(name: str) -> tuple[Layer, LayerResult]:
        layer = changes[name]
        if layer.needs_weight and weights is not None:
            layer = layer.on(weights(name))
        limit = policy.limit(layer)
        if layer.is_dense and policy.method is None:
            matrix = layer.rows(0, layer.size[0])
            return dense_layer(name, matrix, layer.weight_shape, limit, dtype=dtype, device=device)
        smaller, result = best_layer(
            name,
            [Term(layer)],
            lambda values: policy.choose(values, limit),
            dtype=dtype,
            keeps_scale=True,
            device=device,
        )
        if smaller.rank < layer.rank or not isinstance(layer, Layer):
            return smaller, result
        return _unchanged(layer, result, dtype)

    results = run_layers(work, changes, progress, device)
    if policy.method is None and all(result.rank == result.old_rank for _, result in results.values()):
        remarks = (*remarks, f"no layer has a rank above {policy.rank}: nothing was lowered")
    report = Report("resize", tuple(result for _, result in results.values()), remarks)
    layers = {name: layer for name, (layer, _) in results.items()}
    return Lora(layers, lora.metadata, lora.family, lora.path), report


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
