"""The LoRA files that a generator has at hand: read once, checked, and attached while their set stays."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from lib_copier.lora.file import read_lora
from lib_copier.lora.layer import Lora
from lib_copier.lora.match import plan_merge
from lib_copier.lora.peft import adapter_file
from lib_copier.lora.source import open_checkpoint
from lib_copier.model_file.header import model_hash
from lib_copier.models.attach import LiveLora, matched, text_modules, unet_modules
from lib_copier.models.checkpoint import Checkpoint

_LORAS_KEPT = 16
_MOST_MERGED = 1 << 28
"""So many weights LoRAs are merged into (1 GiB): larger models have little use of it, and less room."""


@dataclass(frozen=True)
class ShelvedLora:
    """A LoRA file as it was when it was read; `hash` is its `sshs_model_hash`."""

    lora: Lora
    hash: str
    has_text_layers: bool
    changed: int
    """How many weights it changes."""


def require_fit(checkpoint: Path, paths: Iterable[Path]) -> None:
    """Read LoRAs and hold them against a checkpoint's header, so that faults are told before it is loaded.

    Raises
    ------
    InputError
        If a file is no LoRA, or was made for a model of another kind or size.
    """
    loras = [(read_lora(path), 1.0) for path in dict.fromkeys(paths)]
    if loras:
        with closing(open_checkpoint(checkpoint)) as source:
            plan_merge(source, loras)


class LoraShelf:
    """LoRAs for one checkpoint. A file that changes on disk is read again."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._family = checkpoint.family
        # Merging rounds to what weights are kept in, and a GPU has little of its own memory to spare.
        self._has_room = checkpoint.device.type == "cpu" and checkpoint.dtype is torch.float32
        self._modules = {"unet": unet_modules(checkpoint), "text": text_modules(checkpoint)}
        self._read: OrderedDict[tuple[Path, int, int], ShelvedLora] = OrderedDict()
        self._attached: dict[str, tuple[tuple[str, ...], LiveLora]] = {}

    def take(self, path: Path) -> ShelvedLora:
        """The LoRA of a file, or of PEFT's folder.

        Raises
        ------
        InputError
            If the file is no LoRA, or does not fit the checkpoint.
        """
        file = adapter_file(path)
        state = file.stat()
        key = (path, state.st_mtime_ns, state.st_size)
        found = self._read.get(key)
        if found is None:
            lora = read_lora(path)
            matched(lora, self._modules["unet"] | self._modules["text"], self._family)
            has_text_layers = any(name in self._modules["text"] for name in lora.layers)
            found = self._read[key] = ShelvedLora(lora, model_hash(file), has_text_layers, _changed(lora))
            while len(self._read) > _LORAS_KEPT:
                self._read.popitem(last=False)
        self._read.move_to_end(key)
        return found

    @contextmanager
    def acting(self, part: str, paths: Sequence[Path], weights: torch.Tensor) -> Iterator[None]:
        """Let LoRAs act on the ``unet`` or the ``text`` encoders inside the block.

        Parameters
        ----------
        weights:
            (rows of the batch, or 1; number of paths).
        """
        live = self._live(part, paths) if paths else None
        if live is None:
            yield
            return
        is_one = bool(torch.any(weights)) and torch.equal(weights, weights[:1].expand_as(weights))
        try:
            if part == "unet" and is_one and self.merges(paths):
                live.merge(weights[0])
            else:
                live.set_weights(weights)
            yield
        finally:
            live.set_weights(None)

    def merges(self, paths: Sequence[Path]) -> bool:
        """Whether LoRAs that have one weight in a whole batch are merged into the U-Net for its passes."""
        return self._has_room and sum(self.take(path).changed for path in paths) <= _MOST_MERGED

    def _live(self, part: str, paths: Sequence[Path]) -> LiveLora:
        """The LoRAs attached; those of the last call stay on, since a slider asks for the same ones again."""
        shelved = [self.take(path) for path in paths]
        hashes = tuple(one.hash for one in shelved)
        if part in self._attached:
            before, live = self._attached[part]
            if before == hashes:
                return live
            live.remove()
        live = LiveLora(self._modules[part], [one.lora for one in shelved], self._family)
        self._attached[part] = (hashes, live)
        return live


def _changed(lora: Lora) -> int:
    return sum(math.prod(layer.weight_shape) for layer in lora.layers.values())
