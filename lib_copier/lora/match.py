"""Which weight of a checkpoint every layer of an adapter changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lib_copier.errors import FaultsError, InputError
from lib_copier.lora.approximate import Term
from lib_copier.lora.layer import Adapter
from lib_copier.lora.layout import Slot
from lib_copier.lora.names import canonical_name, lora_slots
from lib_copier.lora.precision import Array, as_float32
from lib_copier.lora.stream import TensorSource
from lib_copier.model_file.families import Family, detect_family


@dataclass(frozen=True)
class Plan:
    """Which tensors of a checkpoint change, and by what; `unmatched` layers found no weight."""

    family: Family
    terms: dict[str, list[tuple[str, Slot, Term]]]
    """Checkpoint key -> (layer, its place, summand) each."""
    unmatched: tuple[str, ...]

    @property
    def needs_weights(self) -> bool:
        """Whether a change depends on the weight that it is added to."""
        return any(term.layer.needs_weight for terms in self.terms.values() for _, _, term in terms)


def plan_merge(source: TensorSource, adapters: Sequence[tuple[Adapter, float]]) -> Plan:
    """Find the weight of every layer.

    Raises
    ------
    InputError
        Where an adapter is for another family than the checkpoint.
    FaultsError
        Where a layer's shape does not fit its weight.
    """
    header = source.header
    family = detect_family(header.shapes, header.metadata, allow_inpainting=True).family
    for adapter, _ in adapters:
        if adapter.family is not None and adapter.family is not family:
            raise InputError(
                f"{adapter.name} is a LoRA for {adapter.family.label}, but {source.path} is {family.label}.",
                "Choose a LoRA and a checkpoint of one family.",
            )
    slots = lora_slots(header.tensors, family)
    terms: dict[str, list[tuple[str, Slot, Term]]] = {}
    unmatched: list[str] = []
    faults: list[str] = []
    for adapter, ratio in adapters:
        for told, layer in adapter.layers.items():
            name = canonical_name(told, family)
            slot = slots.get(name)
            if slot is None:
                unmatched.append(told)
                continue
            size = _slot_size(header.tensors[slot.key].shape, slot)
            if not layer.fits(size):
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


def weight_at(source: TensorSource, slot: Slot) -> Array:
    """The weight at a place as its LoRA sees it: a float32 matrix (out, in · k · k)."""
    shape = source.header.tensors[slot.key].shape
    rows = shape[0] // 3 if slot.third is not None else shape[0]
    first = rows * (slot.third or 0)
    found = as_float32(source.read_rows(slot.key, first, first + rows)).reshape(rows, -1)
    return np.ascontiguousarray(found.T) if slot.is_transposed else found


def weights_for(source: TensorSource, adapter: Adapter) -> Callable[[str], Array]:
    """What gives the weight of each layer of an adapter, as `weight_at` does.

    Raises
    ------
    InputError
        As `plan_merge`; also where a layer that depends on its weight has none here.
    FaultsError
        As `plan_merge`.
    """
    plan = plan_merge(source, [(adapter, 1.0)])
    lost = [name for name in plan.unmatched if adapter.layers[name].needs_weight]
    if lost:
        raise InputError(
            f"{len(lost)} layers of {adapter.name} have no weight in {source.path} ({', '.join(lost[:3])}).",
            "Give the checkpoint that it was made for.",
        )
    slots = {name: slot for terms in plan.terms.values() for name, slot, _ in terms}
    return lambda name: weight_at(source, slots[canonical_name(name, plan.family)])
