"""Weighted sums of LoRAs as one LoRA: exact, or the best there is at a lower rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lib_copier.errors import FaultsError, InputError
from lib_copier.lora.approximate import Term, best_layer, exact_layer
from lib_copier.lora.device import CPU, Device
from lib_copier.lora.layer import Adapter, Layer, Lora, WeightChange
from lib_copier.lora.parallel import in_parallel
from lib_copier.lora.precision import save_dtype
from lib_copier.lora.rank import RankPolicy, check_reachable
from lib_copier.lora.report import LayerResult, Report

LayerWeight = Callable[[int, str], float]
Progress = Callable[[int, int], None]


def combine(
    loras: Sequence[tuple[Adapter, float]],
    policy: RankPolicy | None = None,
    *,
    save_precision: str | None = "fp16",
    layer_weight: LayerWeight | None = None,
    may_leave_out: bool = False,
    device: Device = CPU,
    progress: Progress | None = None,
) -> tuple[Lora, Report]:
    """Σ ratio · (alpha/rank) · up · down over several LoRAs, as one LoRA.

    Parameters
    ----------
    loras:
        LoRAs with their ratios; a ratio means itself, and may be negative.
    policy:
        The rank to approximate at, best possible. None: the sum exactly, at the least rank that holds it.
    save_precision:
        What the result will be saved in: its arrays already have that type, and the error knows it.
    layer_weight:
        A further factor for the index of a LoRA and a layer's name (block weights).
    may_leave_out:
        Go on without the biases and norms that an adapter changes: no LoRA can hold them.
    progress:
        Called with (layers done, layers in all).

    Raises
    ------
    InputError
        Where there is nothing to combine, the LoRAs belong to different models, or a LoRA cannot hold
        the change of one.
    """
    if not loras:
        raise InputError("No LoRA was given.", "Give at least one.")
    terms, remarks = _terms(loras, layer_weight, may_leave_out)
    if policy is not None:
        check_reachable(policy, [found[0].layer for found in terms.values()])
    dtype = save_dtype(save_precision, "F16")

    def work(name: str) -> tuple[Layer, LayerResult]:
        found = terms[name]
        if policy is None:
            return exact_layer(name, found, dtype=dtype, device=device)
        limit = policy.limit(found[0].layer)
        return best_layer(
            name, found, lambda values: policy.choose(values, limit), dtype=dtype, device=device
        )

    results = run_layers(work, terms, progress, device)
    family = next((lora.family for lora, _ in loras if lora.family is not None), None)
    layers = {name: layer for name, (layer, _) in results.items()}
    report = Report(
        "merge" if policy is None else "svd-merge", tuple(x for _, x in results.values()), remarks
    )
    return Lora(layers, family=family), report


def run_layers(
    work: Callable[[str], tuple[Layer, LayerResult]],
    names: Mapping[str, object],
    progress: Progress | None,
    device: Device,
) -> dict[str, tuple[Layer, LayerResult]]:
    """Work on every layer, in parallel on a CPU; the results keep the order of the names."""
    found: dict[str, tuple[Layer, LayerResult]] = {}
    for name, result in in_parallel(work, names, workers=None if device.is_cpu else 1):
        found[name] = result
        if progress is not None:
            progress(len(found), len(names))
    return {name: found[name] for name in names}


def matrices_of(lora: Adapter, *, may_leave_out: bool) -> tuple[dict[str, WeightChange], tuple[str, ...]]:
    """The changes that a LoRA can hold, and what to say of those that are left out.

    Raises
    ------
    InputError
        Where the adapter changes biases or norms too, and they may not be left out.
    """
    others = [name for name, layer in lora.layers.items() if layer.is_vector]
    if not others:
        return dict(lora.layers), ()
    told = f"{len(others)} biases and norms ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''})"
    if not may_leave_out:
        raise InputError(
            f"{lora.name} also changes {told}, which no LoRA can hold.",
            "Merge it into a checkpoint (--sd_model), or give --allow_unmatched to leave them out.",
        )
    matrices = {name: layer for name, layer in lora.layers.items() if not layer.is_vector}
    return matrices, (f"left out of {lora.name}: {told}",)


def check_independent(name: str, changes: Mapping[str, WeightChange]) -> None:
    """Refuse changes that only the checkpoint's weights make whole.

    Raises
    ------
    InputError
        With what to do instead.
    """
    kind = next((layer.kind for layer in changes.values() if layer.needs_weight), None)
    if kind is not None:
        raise InputError(
            f"{name} holds {kind} layers: what they change depends on the checkpoint.",
            "Make it an ordinary LoRA for that checkpoint: lora resize --sd_model CHECKPOINT --model FILE.",
        )


def _terms(
    loras: Sequence[tuple[Adapter, float]], layer_weight: LayerWeight | None, may_leave_out: bool
) -> tuple[dict[str, list[Term]], tuple[str, ...]]:
    """Every layer's summands, in the order of the LoRAs, checked; and what to say of what is left out."""
    families = {lora.family.label: lora.name for lora, _ in loras if lora.family is not None}
    if len(families) > 1:
        made_for = ", ".join(f"{name} is for {label}" for label, name in families.items())
        raise InputError(f"The LoRAs belong to different models: {made_for}.", "Combine LoRAs of one family.")
    terms: dict[str, list[Term]] = {}
    faults: list[str] = []
    remarks: list[str] = []
    for index, (lora, ratio) in enumerate(loras):
        changes, told = matrices_of(lora, may_leave_out=may_leave_out)
        check_independent(lora.name, changes)
        remarks += told
        for name, layer in changes.items():
            weight = ratio if layer_weight is None else ratio * layer_weight(index, name)
            others = terms.setdefault(name, [])
            if others and others[0].layer.size != layer.size:
                faults.append(
                    f"{name} changes a weight of {list(layer.weight_shape)} in {lora.name}, "
                    f"of {list(others[0].layer.weight_shape)} elsewhere"
                )
            others.append(Term(layer, weight))
    if faults:
        raise FaultsError("The LoRAs do not fit together", faults, "Combine LoRAs of one model.")
    return terms, tuple(remarks)
