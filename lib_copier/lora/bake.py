"""LoRAs merged into a checkpoint, tensor by tensor: memory stays small whatever the file's size."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib_copier.errors import CopierError, FaultsError, InputError
from lib_copier.families import Family, detect_family
from lib_copier.lora.approximate import Term
from lib_copier.lora.atomic import replacing
from lib_copier.lora.combine import Progress
from lib_copier.lora.device import CPU, Device
from lib_copier.lora.layer import Lora
from lib_copier.lora.layout import Slot
from lib_copier.lora.names import canonical_name, lora_slots
from lib_copier.lora.parallel import in_parallel
from lib_copier.lora.precision import FLOATS, Array, as_float32, is_finite, save_dtype, stored_as
from lib_copier.lora.report import LayerResult, Report
from lib_copier.lora.stream import TensorSource, TensorWriter

# A run of rows is worked on while it is in the processor's cache.
_CHUNK_ELEMENTS = 1 << 18
_METADATA_RESERVE = 1024


@dataclass(frozen=True)
class Change:
    """What a LoRA layer does to rows `first` to `last` of one tensor: up (rows, r) · down (r, rest)."""

    layer: str
    first: int
    last: int
    up: Array
    down: Array


@dataclass(frozen=True)
class Plan:
    """Which tensors of a checkpoint change, and by what; `unmatched` LoRA layers found no weight."""

    family: Family
    terms: dict[str, list[tuple[str, Slot, Term]]]
    """Checkpoint key -> (LoRA layer, its place, summand) each."""
    unmatched: tuple[str, ...]


def plan_merge(source: TensorSource, loras: Sequence[tuple[Lora, float]]) -> Plan:
    """Find the weight of every LoRA layer.

    Raises
    ------
    InputError
        Where a LoRA is for another family than the checkpoint.
    FaultsError
        Where a layer's shape does not fit its weight.
    """
    header = source.header
    family = detect_family(header.shapes, header.metadata, allow_inpainting=True).family
    for lora, _ in loras:
        if lora.family is not None and lora.family is not family:
            raise InputError(
                f"{lora.name} is a LoRA for {lora.family.label}, but {source.path} is {family.label}.",
                "Choose a LoRA and a checkpoint of one family.",
            )
    slots = lora_slots(header.tensors, family)
    terms: dict[str, list[tuple[str, Slot, Term]]] = {}
    unmatched: list[str] = []
    faults: list[str] = []
    for lora, ratio in loras:
        for told, layer in lora.layers.items():
            name = canonical_name(told, family)
            slot = slots.get(name)
            if slot is None:
                unmatched.append(told)
                continue
            size = _slot_size(header.tensors[slot.key].shape, slot)
            if size != layer.size:
                faults.append(f"{told} changes a matrix of {layer.size}, but {slot.key} has {size}")
                continue
            terms.setdefault(slot.key, []).append((name, slot, Term(layer, ratio)))
    if faults:
        raise FaultsError(
            f"The LoRAs do not fit {source.path}", faults, "Choose the family that they were made for."
        )
    return Plan(family, terms, tuple(dict.fromkeys(unmatched)))


def _slot_size(shape: tuple[int, ...], slot: Slot) -> tuple[int, int]:
    """A weight as (out, in · k · k), as its LoRA sees it."""
    rows, rest = shape[0], math.prod(shape[1:])
    rows = rows // 3 if slot.third is not None else rows
    return (rest, rows) if slot.is_transposed else (rows, rest)


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
        and with it every tensor that no LoRA touches bit for bit.
    metadata:
        For the new file; the error is added to it.

    Returns
    -------
    The error of what was stored, relative to the change itself, and the times.

    Raises
    ------
    CopierError
        Where a number does not fit the precision, or the disk is full.
    """
    infos = source.header.tensors
    wanted = save_dtype(save_precision, "")
    described = {
        name: (wanted if wanted and info.dtype in FLOATS else info.dtype, info.shape)
        for name, info in infos.items()
    }
    started = time.perf_counter()
    with replacing(path) as file:
        writer = TensorWriter(file, described, metadata or {}, reserve=_METADATA_RESERVE)
        check_room(path, sum(info.end - info.start for info in writer.tensors.values()))

        def work(name: str) -> list[LayerResult]:
            changes = [_change(*term, infos[name].shape, device) for term in plan.terms.get(name, [])]
            return _write_tensor(source, writer, name, changes)

        results: list[LayerResult] = []
        for done, (_, found) in enumerate(in_parallel(work, infos, workers=None if device.is_cpu else 1), 1):
            results += found
            if progress is not None:
                progress(done, len(infos))
        report = Report("merge", tuple(sorted(results, key=lambda result: result.name)))
        writer.finish(dict(metadata or {}) | report.metadata())
        written = time.perf_counter()
    return report, Seconds(written - started, time.perf_counter() - written)


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


def _change(name: str, slot: Slot, term: Term, shape: tuple[int, ...], device: Device) -> Change:
    """A summand as float32 factors over the rows that it changes, weight folded in."""
    up, down = term.layer.factors()
    up = up * term.weight
    if slot.is_transposed:
        up, down = down.T, up.T
    rows = shape[0] // 3 if slot.third is not None else shape[0]
    first = rows * (slot.third or 0)
    return Change(
        name,
        first,
        first + rows,
        device.put(np.ascontiguousarray(up, np.float32)),
        device.put(np.ascontiguousarray(down, np.float32)),
    )


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
    energy, squared = 0.0, 0.0
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
        squared += _sum_of_squares(_rounding(weight, delta, total, result))
    names = sorted({change.layer for change in changes})
    if not names:
        return []
    rank = sum(int(change.down.shape[0]) for change in changes)
    return [LayerResult(" + ".join(names), rank, rank, energy, squared)]


def _delta(changes: Sequence[Change], first: int, last: int, width: int) -> Array | None:
    """The change of rows `first` to `last`, or None where nothing changes."""
    delta: Array | None = None
    for change in changes:
        low, high = max(first, change.first), min(last, change.last)
        if low >= high:
            continue
        part: Any = change.up[low - change.first : high - change.first] @ change.down
        part = part if isinstance(part, np.ndarray) else part.cpu().numpy()
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
