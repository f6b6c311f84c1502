"""A LoRA from the difference of two checkpoints, layer by layer: neither is ever in memory as a whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib_copier.errors import FaultsError, InputError
from lib_copier.lora.approximate import dense_layer
from lib_copier.lora.combine import Progress
from lib_copier.lora.device import CPU, Device
from lib_copier.lora.layer import Layer, Lora
from lib_copier.lora.layout import Slot
from lib_copier.lora.names import UNET_PREFIX, is_conv_target, is_default_target, lora_slots
from lib_copier.lora.parallel import in_parallel
from lib_copier.lora.precision import Array, as_float32, is_finite, save_dtype
from lib_copier.lora.rank import RankPolicy
from lib_copier.lora.report import LayerResult, Report
from lib_copier.lora.rounding import Rounding, rounding_of
from lib_copier.lora.stream import TensorSource
from lib_copier.model_file.families import Family, detect_family

_CHUNK_ROWS_ELEMENTS = 1 << 20


@dataclass(frozen=True)
class Target:
    """One layer to extract: where it lives in both files, and the shape that its LoRA will see."""

    name: str
    slot: Slot
    shape: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        return self.shape[0], math.prod(self.shape[1:])

    def read(self, source: TensorSource, first: int, last: int) -> Array:
        """Rows of this layer's weight as a float32 matrix."""
        start = self.shape[0] * (self.slot.third or 0)
        rows = source.read_rows(self.slot.key, start + first, start + last)
        return as_float32(rows).reshape(last - first, -1)


def find_targets(
    original: TensorSource, tuned: TensorSource, *, has_conv: bool
) -> tuple[Family, list[Target]]:
    """The layers that sd-scripts' `networks.lora` would train, present with one shape in both files.

    Raises
    ------
    InputError
        Where the checkpoints are of different families.
    FaultsError
        Where a layer is missing in one or has another shape there.
    """
    families = [
        detect_family(source.header.shapes, source.header.metadata, allow_inpainting=True).family
        for source in (original, tuned)
    ]
    if families[0] is not families[1]:
        raise InputError(
            f"{original.path} is {families[0].label}, but {tuned.path} is {families[1].label}.",
            "Choose two checkpoints of one family.",
        )
    targets, faults = [], []
    for name, slot in lora_slots(original.header.tensors, families[0]).items():
        info = original.header.tensors[slot.key]
        if len(info.shape) < 2 or not (is_default_target(name) or (has_conv and is_conv_target(name))):
            continue
        other = tuned.header.tensors.get(slot.key)
        if other is None or other.shape != info.shape:
            told = "is missing" if other is None else f"is {list(other.shape)} instead of {list(info.shape)}"
            faults.append(f"{slot.key} {told}")
            continue
        rows = info.shape[0] // 3 if slot.third is not None else info.shape[0]
        targets.append(Target(name, slot, (rows, *info.shape[1:])))
    if faults:
        raise FaultsError(f"{tuned.path} does not match {original.path}", faults, "Choose matching models.")
    return families[0], targets


def extract(
    original: TensorSource,
    tuned: TensorSource,
    policy: RankPolicy,
    *,
    min_diff: float = 0.01,
    save_precision: str | None = "fp16",
    device: Device = CPU,
    progress: Progress | None = None,
) -> tuple[Lora, Report]:
    """The best LoRA of the asked rank for tuned − original.

    Parameters
    ----------
    policy:
        Its rank is for linear and 1x1 layers; 3x3 convolutions are extracted where it has a rank for them.
    min_diff:
        The text encoder is left out, as in sd-scripts, unless one of its weights differs by more.

    Raises
    ------
    InputError
        Where the two do not differ, or only by how their numbers are rounded, or a weight is NaN or infinite.
    """
    family, targets = find_targets(original, tuned, has_conv=policy.conv_rank is not None)
    targets, remarks = _without_same_text_encoder(original, tuned, targets, min_diff)
    dtype = save_dtype(save_precision, "F16")

    def work(target: Target) -> tuple[Layer, LayerResult] | str | None:
        return _extract_layer(original, tuned, target, policy, dtype, device)

    # The largest first, so that no long one is left at the end for one worker alone.
    queue = sorted(targets, key=lambda target: -math.prod(target.size))
    found: dict[str, tuple[Layer, LayerResult]] = {}
    rounded: list[str] = []
    for done, (target, result) in enumerate(
        in_parallel(work, queue, workers=None if device.is_cpu else 1), 1
    ):
        if isinstance(result, str):
            rounded.append(result)
        elif result is not None:
            found[target.name] = result
        if progress is not None:
            progress(done, len(queue))
    if not found:
        raise _nothing_found(original, tuned, rounded, remarks)
    if rounded:
        remarks.append(
            f"{len(rounded)} layers differ only by rounding to {_listed(rounded)} and are left out"
        )
    same = len(queue) - len(found) - len(rounded)
    if same:
        remarks.append(f"{same} layers do not differ and are left out")
    ordered = {target.name: found[target.name] for target in targets if target.name in found}
    report = Report("extract", tuple(result for _, result in ordered.values()), tuple(remarks))
    return Lora({name: layer for name, (layer, _) in ordered.items()}, family=family), report


def _nothing_found(
    original: TensorSource, tuned: TensorSource, rounded: Sequence[str], remarks: Sequence[str]
) -> InputError:
    """What to say where no layer is left; `rounded` are the types that layers were only rounded to."""
    if rounded:
        return InputError(
            f"{tuned.path} is {original.path} stored as {_listed(rounded)}: all that differs is rounding.",
            "Choose two checkpoints of which one was trained or merged.",
        )
    return InputError(
        f"{tuned.path} and {original.path} do not differ in any layer that a LoRA can hold"
        + (f" ({remarks[0]})." if remarks else "."),
        "Choose two different checkpoints.",
    )


def _listed(types: Sequence[str]) -> str:
    return " and ".join(sorted(set(types)))


def _without_same_text_encoder(
    original: TensorSource, tuned: TensorSource, targets: Sequence[Target], min_diff: float
) -> tuple[list[Target], list[str]]:
    """Leave the text encoder out where no weight of it differs by more than `min_diff`, and say so."""
    text = [target for target in targets if not target.name.startswith(UNET_PREFIX)]
    largest = 0.0
    for target in text:
        for first, last in _row_runs(target.size):
            difference = target.read(tuned, first, last) - target.read(original, first, last)
            largest = max(largest, float(np.abs(difference).max()))
        if largest > min_diff:
            return list(targets), []
    if not text:
        return list(targets), []
    remark = f"text encoder left out: it differs by at most {largest:.3g}, --min_diff is {min_diff:g}"
    if largest > 0.0:
        remark += " (--min_diff 0 keeps it)"
    return [target for target in targets if target.name.startswith(UNET_PREFIX)], [remark]


def _row_runs(size: tuple[int, int]) -> list[tuple[int, int]]:
    rows, width = size
    step = max(1, _CHUNK_ROWS_ELEMENTS // max(1, width))
    return [(first, min(rows, first + step)) for first in range(0, rows, step)]


def _extract_layer(
    original: TensorSource,
    tuned: TensorSource,
    target: Target,
    policy: RankPolicy,
    dtype: str,
    device: Device,
) -> tuple[Layer, LayerResult] | str | None:
    """One layer of the LoRA with its error; a type, where all is rounding to it; None: no difference."""
    rows, width = target.size
    difference = np.empty((rows, width), np.float32)
    squares = 0.0
    infos = (original.header.tensors[target.slot.key], tuned.header.tensors[target.slot.key])
    rounding = Rounding(*infos)
    for first, last in _row_runs(target.size):
        weight, before = target.read(tuned, first, last), target.read(original, first, last)
        squares += float(np.dot(weight.reshape(-1), weight.reshape(-1)))
        np.subtract(weight, before, out=difference[first:last])
        rounding.see(before, weight, difference[first:last])
    if not math.isfinite(squares) or not is_finite(difference):
        raise InputError(f"{target.slot.key} holds NaN or infinity.", "Use a sound checkpoint.")
    if not difference.any():
        return None
    if rounding.explains_all is not None:
        return rounding.explains_all
    is_spatial = any(length > 1 for length in target.shape[2:])
    limit = policy.conv_rank if is_spatial and policy.conv_rank else policy.rank
    noise = rounding_of(infos[1].quantised or infos[1].dtype) * math.sqrt(squares / (rows * width))
    edge = 1.2 * noise * (math.sqrt(rows) + math.sqrt(width))
    return dense_layer(target.name, difference, target.shape, limit, dtype=dtype, device=device, edge=edge)
