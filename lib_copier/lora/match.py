"""Which weight of a checkpoint every layer of a LoRA changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lib_copier.errors import FaultsError, InputError
from lib_copier.families import Family, detect_family
from lib_copier.lora.approximate import Term
from lib_copier.lora.layer import Lora
from lib_copier.lora.layout import Slot
from lib_copier.lora.names import canonical_name, lora_slots
from lib_copier.lora.stream import TensorSource


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
