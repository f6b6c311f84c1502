"""Prompts encoded for requests, each text once for each setting that changes its encoding."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lib_copier.generate.shelf import LoraShelf
from lib_copier.model_file.families import SDXL
from lib_copier.models.checkpoint import Checkpoint
from lib_copier.models.text import PromptEmbedding, encode_prompts, stack
from lib_copier.txt2img.pictures import PictureRequest

_TEXTS_KEPT = 512


@dataclass(frozen=True)
class _Setting:
    """What the encoding of a text depends on: `loras` holds (file, its hash, weight)."""

    clip_skip: int
    loras: tuple[tuple[Path, str, float], ...]


class PromptCache:
    """Encodes prompts and negative prompts, with the LoRAs that each request puts on the text encoders."""

    def __init__(self, checkpoint: Checkpoint, shelf: LoraShelf) -> None:
        self._checkpoint = checkpoint
        self._shelf = shelf
        self._known: OrderedDict[tuple[str, _Setting], PromptEmbedding] = OrderedDict()

    def positive(self, requests: Sequence[PictureRequest]) -> PromptEmbedding:
        """The requests' prompts."""
        return stack(self._encode([request.prompt for request in requests], requests))

    def negative(self, requests: Sequence[PictureRequest]) -> PromptEmbedding:
        """Their negative prompts."""
        texts = [request.negative_prompt for request in requests]
        found = self._encode(texts, requests)
        if self._checkpoint.family is SDXL:
            # SDXL learned "no prompt" as zeros, not as the encoding of an empty text.
            found = [one if text else one.zeroed() for one, text in zip(found, texts, strict=True)]
        return stack(found)

    def _encode(self, texts: Sequence[str], requests: Sequence[PictureRequest]) -> list[PromptEmbedding]:
        keys = [(text, self._setting(request)) for text, request in zip(texts, requests, strict=True)]
        missing: dict[_Setting, list[str]] = {}
        for text, setting in dict.fromkeys(key for key in keys if key not in self._known):
            missing.setdefault(setting, []).append(text)
        for setting, unknown in missing.items():
            self._learn(unknown, setting)
        found = [self._known[key] for key in keys]
        for key in keys:
            self._known.move_to_end(key)
        while len(self._known) > _TEXTS_KEPT:
            self._known.popitem(last=False)
        return found

    def _learn(self, texts: Sequence[str], setting: _Setting) -> None:
        paths = [path for path, _, _ in setting.loras]
        weights = torch.tensor([[weight for _, _, weight in setting.loras]])
        with self._shelf.acting("text", paths, weights):
            encoded = encode_prompts(self._checkpoint, texts, setting.clip_skip)
        self._known |= {(text, setting): encoded.row(row) for row, text in enumerate(texts)}

    def _setting(self, request: PictureRequest) -> _Setting:
        strengths: dict[Path, float] = {}
        for use in request.loras:
            if self._shelf.take(use.path).has_text_layers:
                strengths[use.path] = strengths.get(use.path, 0.0) + use.text_weight
        loras = ((path, self._shelf.take(path).hash, weight) for path, weight in sorted(strengths.items()))
        return _Setting(request.clip_skip, tuple(lora for lora in loras if lora[2] != 0.0))
