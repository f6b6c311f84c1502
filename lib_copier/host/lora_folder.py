"""The names that are taken in a host's LoRA folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

LORA_SUFFIXES = frozenset({".safetensors", ".pt", ".ckpt"})


def unique_stem(wanted: str, folders: Iterable[Path]) -> str:
    """`wanted`, or `wanted-2`, `wanted-3` …: a stem that no LoRA under the folders has.

    WebUIs name a LoRA by its stem alone and remember its weights by that name: a stem used twice, in
    whatever subfolder, shows the old file's pictures.
    """
    taken = {
        path.stem.casefold()
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.suffix.lower() in LORA_SUFFIXES
    }
    found, number = wanted, 2
    while found.casefold() in taken:
        found, number = f"{wanted}-{number}", number + 1
    return found
