"""LoRAs merged into a checkpoint, tensor by tensor: memory stays small whatever the file's size."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lib_copier.errors import CopierError, InputError
from lib_copier.files.disk import replacing
from lib_copier.lora.approximate import Term
from lib_copier.lora.combine import Progress
from lib_copier.lora.device import CPU, Device
from lib_copier.lora.layer import Layer
from lib_copier.lora.layout import Slot
from lib_copier.lora.match import Plan, weight_at
from lib_copier.lora.parallel import in_parallel
from lib_copier.lora.precision import FLOATS, Array, as_float32, is_finite, save_dtype, stored_as
from lib_copier.lora.quantised import FP8
from lib_copier.lora.report import LayerResult, Report
from lib_copier.lora.stream import TensorSource, TensorWriter
from lib_copier.model_file.header import TensorInfo

# A run of rows is worked on while it is in the processor's cache.
_CHUNK_ELEMENTS = 1 << 18
_METADATA_RESERVE = 1024
# From this relative error on, a merge says that the stored type is too coarse.
_COARSE = 0.1
# float32 sums err by less, in parts of the change.
_NOTHING_KEPT = 1e-5


@dataclass(frozen=True)
class Change:
    """What a layer does to rows `first` to `last` of one tensor, by its factors' rank.

    `rows(a, b)` is the change of rows `first` + a to `first` + b, weight included, as a float32 matrix.
    """

    layer: str
    first: int
    last: int
    rank: int
    rows: Callable[[int, int], Array]


@dataclass(frozen=True)
class Seconds:
    """How long a merge took to compute and write, and then to flush to the disk."""

    write: float
    flush: float


def merge_into_checkpoint(
    source: TensorSource,
    plan: Plan,
    path: Path,
    *,
    save_precision: str | None = None,
    metadata: Mapping[str, str] | None = None,
    device: Device = CPU,
    progress: Progress | None = None,
) -> tuple[Report, Seconds]:
    """Write the checkpoint with Σ ratio · scale · up · down added; all other tensors as they are.

    Parameters
    ----------
    save_precision:
        `float`, `fp16` or `bf16` for every floating-point tensor; None keeps each tensor's own type,
        and with it every tensor that no LoRA touches bit for bit. Scaled fp8 is then written as fp16.
    metadata:
        For the new file; the error is added to it.

    Returns
    -------
    The error of what was stored, relative to the change itself, and the times.

    Raises
    ------
    CopierError
        Where a number does not fit the precision, or the disk is full.
    InputError
        Where nothing of the change survives being stored.
    """
    infos = source.header.tensors
    wanted = save_dtype(save_precision, "")
    described = {name: (_stored_dtype(info, wanted), info.shape) for name, info in infos.items()}
    started = time.perf_counter()
    with replacing(path) as file:
        writer = TensorWriter(file, described, metadata or {}, reserve=_METADATA_RESERVE)
        check_room(path, sum(info.end - info.start for info in writer.tensors.values()))

        def work(name: str) -> list[LayerResult]:
            changes = [_change(*term, source, device) for term in plan.terms.get(name, [])]
            return _write_tensor(source, writer, name, changes)

        results: list[LayerResult] = []
        # What depends on a weight holds that weight whole, several times.
        workers = 1 if not device.is_cpu else 2 if plan.needs_weights else None
        for done, (_, found) in enumerate(in_parallel(work, infos, workers=workers), 1):
            results += found
            if progress is not None:
                progress(done, len(infos))
        report = Report("merge", tuple(sorted(results, key=lambda result: result.name)))
        report = replace(report, remarks=_loss(report, {described[key][0] for key in plan.terms}))
        writer.finish(dict(metadata or {}) | report.metadata())
        written = time.perf_counter()
    return report, Seconds(written - started, time.perf_counter() - written)


def _stored_dtype(info: TensorInfo, wanted: str) -> str:
    """The type that a tensor is written in: what is wanted of numbers, else its own."""
    if wanted and info.dtype in FLOATS:
        return wanted
    return "F16" if info.quantised else info.dtype


def _loss(report: Report, dtypes: set[str]) -> tuple[str, ...]:
    """What to say where the stored types are too coarse for the change.

    Raises
    ------
    InputError
        Where every changed weight is stored as it was before.
    """
    told = " and ".join(sorted(dtypes))
    advice = f"--save_precision {'fp16' if dtypes & set(FP8) else 'float'}"
    if report.energy and abs(report.kept) < _NOTHING_KEPT:
        raise InputError(f"Nothing of the change survives being stored as {told}.", f"Give {advice}.")
    if report.error < _COARSE:
        return ()
    lost = max(0.0, 1.0 - report.kept)
    return (
        f"{told} is too coarse for this change: {lost:.0%} of it is lost, and rounding adds errors of "
        f"{report.error:.0%} of it; {advice} keeps it",
    )


def check_room(path: Path, size: int) -> None:
    """Refuse to begin where the disk cannot hold the result.

    Raises
    ------
    InputError
        With how much is needed and how much is free.
    """
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise InputError(
            f"{path.parent} has {free / 1e9:.1f} GB free, and the result needs {size / 1e9:.1f} GB.",
            "Free some space, or save elsewhere.",
        )


def _change(name: str, slot: Slot, term: Term, source: TensorSource, device: Device) -> Change:
    """A summand as the rows that it changes; a plain LoRA's are multiplied on the device."""
    shape = source.header.tensors[slot.key].shape
    rows = shape[0] // 3 if slot.third is not None else shape[0]
    first = rows * (slot.third or 0)
    layer = term.layer
    if isinstance(layer, Layer):
        up, down = layer.factors()
        up = up * term.weight
        if slot.is_transposed:
            up, down = down.T, up.T
        left = device.put(np.ascontiguousarray(up, np.float32))
        right = device.put(np.ascontiguousarray(down, np.float32))
        return Change(name, first, first + rows, layer.rank, lambda a, b: _on_cpu(left[a:b] @ right))
    if layer.needs_weight:
        layer = layer.on(weight_at(source, slot))
    ratio = np.float32(term.weight)
    if slot.is_transposed:
        matrix = layer.rows(0, layer.size[0]).T * ratio
        return Change(name, first, first + rows, layer.rank, lambda a, b: matrix[a:b])
    return Change(name, first, first + rows, layer.rank, lambda a, b: layer.rows(a, b) * ratio)


def _on_cpu(array: Any) -> Array:
    found: Array = array if isinstance(array, np.ndarray) else array.cpu().numpy()
    return found


def _write_tensor(
    source: TensorSource, writer: TensorWriter, name: str, changes: Sequence[Change]
) -> list[LayerResult]:
    """Read, change, convert and write one tensor, a run of rows at a time."""
    info, dtype = source.header.tensors[name], writer.tensors[name].dtype
    if not info.shape:
        writer.write(name, _converted(name, source.read(name), info.dtype, dtype))
        return []
    rows = info.shape[0]
    step = max(1, _CHUNK_ELEMENTS // max(1, math.prod(info.shape[1:])))
    energy, squared, inner = 0.0, 0.0, 0.0
    for first in range(0, rows, step):
        last = min(rows, first + step)
        stored = source.read_rows(name, first, last)
        delta = _delta(changes, first, last, stored.size // (last - first))
        if delta is None:
            writer.write(name, _converted(name, stored, info.dtype, dtype), first)
            continue
        weight = as_float32(stored).reshape(delta.shape)
        total = weight + delta
        result = _converted(name, total, "F32", dtype)
        writer.write(name, result.reshape(stored.shape), first)
        energy += _sum_of_squares(delta)
        if not math.isfinite(energy):
            raise CopierError(f"The change of {name} is beyond the range of float32.", "Lower the weights.")
        rounding = _rounding(weight, delta, total, result)
        squared += _sum_of_squares(rounding)
        inner += float(np.dot((delta + rounding).reshape(-1), delta.reshape(-1)))
    names = sorted({change.layer for change in changes})
    if not names:
        return []
    rank = sum(change.rank for change in changes)
    return [LayerResult(" + ".join(names), rank, rank, energy, squared, inner=inner)]


def _delta(changes: Sequence[Change], first: int, last: int, width: int) -> Array | None:
    """The change of rows `first` to `last`, or None where nothing changes."""
    delta: Array | None = None
    for change in changes:
        low, high = max(first, change.first), min(last, change.last)
        if low >= high:
            continue
        part = change.rows(low - change.first, high - change.first)
        if delta is None and (low, high) == (first, last):
            delta = part
            continue
        if delta is None:
            delta = np.zeros((last - first, width), np.float32)
        delta[low - first : high - first] += part
    return delta


def _rounding(weight: Array, delta: Array, total: Array, stored: Array) -> Array:
    """stored − (weight + delta): what the addition lost (Knuth's two-sum) and what storing lost."""
    added = total - weight
    lost: Array = (weight - (total - added)) + (delta - added)
    if stored.dtype != np.float32:
        lost -= as_float32(stored).reshape(total.shape) - total
    return -lost


def _sum_of_squares(array: Array) -> float:
    flat = array.reshape(-1)
    return float(np.dot(flat, flat))


def _converted(name: str, array: Array, old: str, new: str) -> Array:
    """The array in the type that is written; a number beyond that type's range is an error."""
    if old == new:
        return array
    wide = array if old == "F64" else as_float32(array)
    found = stored_as(wide, new)
    if not is_finite(found) and is_finite(wide):
        raise CopierError(
            f"{name} has numbers beyond the range of {new}.", "Use --save_precision float or bf16."
        )
    return found
