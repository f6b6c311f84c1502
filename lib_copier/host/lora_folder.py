"""A host's LoRA folders: the names that are taken there, and what the host has to be told of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lib_copier.host.base import Host

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


class Listing:
    """Has the host list LoRAs that this process sees for the first time, or that were replaced since."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._listed: dict[Path, int] = {}

    def see(self, lora: Path) -> None:
        """Look at a LoRA of the host's folders; one that is not there is nothing to list."""
        try:
            changed = lora.stat().st_mtime_ns
        except OSError:
            return
        if self._listed.get(lora) != changed:
            # First: the page asks every second or so, and a host that cannot list shall fail once.
            self._listed[lora] = changed
            self._host.list_lora(lora.stem)
