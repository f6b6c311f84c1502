"""The textbook way to the same results: whole models in memory, dense products, full SVDs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from safetensors.numpy import load_file, save_file

from lib_copier.lora.file import read_lora
from lib_copier.lora.names import is_default_target, lora_slots
from lib_copier.model_file.families import detect_family


def truncate(dense: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The best rank-k factors of a dense matrix by its full SVD."""
    left, values, right = np.linalg.svd(dense, full_matrices=False)
    return left[:, :rank] * values[:rank], right[:rank]


def low_rank(output: str, rank: int, terms: Sequence[tuple[str, float]]) -> None:
    """Σ ratio · LoRA at a lower rank."""
    loras = [(read_lora(path), ratio) for path, ratio in terms]
    tensors = {}
    for name, first in loras[0][0].layers.items():
        parts = [ratio * lora.layers[name].delta().astype(np.float32) for lora, ratio in loras]
        dense = np.sum(parts, axis=0)
        up, down = truncate(dense.reshape(first.size), rank)
        tensors[f"{name}.lora_up.weight"] = np.ascontiguousarray(up, np.float16)
        tensors[f"{name}.lora_down.weight"] = np.ascontiguousarray(down, np.float16)
        tensors[f"{name}.alpha"] = np.asarray(rank, np.float32)
    save_file(tensors, output)


def merge(output: str, checkpoint: str, path: str) -> None:
    """A LoRA merged into a checkpoint, saved as float32."""
    tensors = {name: array.astype(np.float32) for name, array in load_file(checkpoint).items()}
    family = detect_family({name: array.shape for name, array in tensors.items()}).family
    slots = lora_slots(tensors, family)
    for name, layer in read_lora(path).layers.items():
        weight = tensors[slots[name].key]
        weight += layer.delta().astype(np.float32).reshape(weight.shape)
    save_file(tensors, output)


def extract(output: str, original: str, tuned: str, rank: int) -> None:
    """The difference of two checkpoints at a rank, by full SVDs."""
    before, after = load_file(original), load_file(tuned)
    family = detect_family({name: array.shape for name, array in before.items()}).family
    tensors = {}
    for name, slot in lora_slots(before, family).items():
        if before[slot.key].ndim < 2 or not is_default_target(name):
            continue
        dense = after[slot.key].astype(np.float32) - before[slot.key].astype(np.float32)
        up, down = truncate(dense.reshape(len(dense), -1), rank)
        tensors[f"{name}.lora_up.weight"] = np.ascontiguousarray(up, np.float16)
        tensors[f"{name}.lora_down.weight"] = np.ascontiguousarray(down, np.float16)
        tensors[f"{name}.alpha"] = np.asarray(rank, np.float32)
    save_file(tensors, output)


if __name__ == "__main__":
    task, target, *words = sys.argv[1:]
    if task == "merge":
        merge(target, *words)
    elif task == "extract":
        extract(target, words[0], words[1], int(words[2]))
    else:
        low_rank(
            target, int(words[0]), [(p, float(r)) for p, r in zip(words[1::2], words[2::2], strict=True)]
        )
