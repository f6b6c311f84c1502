"""One picture to generate, as frozen data, with every check that needs no model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lib_copier.errors import FaultsError, InputError

SAMPLER_NAMES = ("Euler", "Euler a", "DDIM", "DPM++ 2M", "DPM++ 2M Karras")
_SMALLEST_SIZE, _LARGEST_SIZE = 64, 4096
_MOST_STEPS = 500


@dataclass(frozen=True)
class LoraUse:
    """A LoRA file and its strength on the U-Net and (None: the same) on the text encoder."""

    path: Path
    weight: float = 1.0
    te_weight: float | None = None

    @property
    def text_weight(self) -> float:
        return self.weight if self.te_weight is None else self.te_weight

    @classmethod
    def parse(cls, text: str) -> LoraUse:
        """Read ``FILE``, ``FILE:WEIGHT`` or ``FILE:WEIGHT:TE``; the file's name may hold colons.

        >>> use = LoraUse.parse("C:/a.safetensors:0.5:0")
        >>> use.path.name, use.weight, use.te_weight
        ('a.safetensors', 0.5, 0.0)
        """
        path = text
        numbers: list[float] = []
        while len(numbers) < 2 and ":" in path:
            head, _, tail = path.rpartition(":")
            try:
                numbers.insert(0, float(tail))
            except ValueError:
                break
            path = head
        if not path:
            raise InputError(f"No LoRA file in {text!r}.", "Write FILE:WEIGHT.")
        return cls(Path(path), *numbers)


@dataclass(frozen=True)
class Request:
    """What one picture is made from.

    `width` and `height` are in pixels, multiples of 8. `clip_skip` counts from the end of SD1's text
    encoder (1: its last layer). With `cfg_scale` 1 the negative prompt is not looked at.
    """

    prompt: str = ""
    negative_prompt: str = ""
    seed: int = 0
    width: int = 512
    height: int = 512
    steps: int = 20
    cfg_scale: float = 7.0
    clip_skip: int = 1
    sampler: str = "Euler a"
    loras: tuple[LoraUse, ...] = ()

    def faults(self) -> list[str]:
        """Everything that is wrong with it, a sentence each."""
        found = []
        for side, length in (("width", self.width), ("height", self.height)):
            if not _SMALLEST_SIZE <= length <= _LARGEST_SIZE:
                found.append(f"{side} {length} is not within {_SMALLEST_SIZE} to {_LARGEST_SIZE}")
            elif length % 8:
                low = length - length % 8
                found.append(f"{side} {length} is no multiple of 8 (use {low} or {low + 8})")
        if not 1 <= self.steps <= _MOST_STEPS:
            found.append(f"steps {self.steps} is not within 1 to {_MOST_STEPS}")
        if not 0.0 <= self.cfg_scale <= 100.0:
            found.append(f"cfg_scale {self.cfg_scale} is not within 0 to 100")
        if not 1 <= self.clip_skip <= 12:
            found.append(f"clip_skip {self.clip_skip} is not within 1 to 12")
        if not 0 <= self.seed < 2**63:
            found.append(f"seed {self.seed} is not within 0 to 2^63")
        if self.sampler not in SAMPLER_NAMES:
            found.append(f"sampler {self.sampler!r} is unknown (there are {', '.join(SAMPLER_NAMES)})")
        for lora in self.loras:
            if not lora.path.is_file():
                found.append(f"LoRA {lora.path}: no such file")
            if not all(abs(weight) <= 100.0 for weight in (lora.weight, lora.text_weight)):
                found.append(f"LoRA {lora.path.name}: weights must be within -100 to 100")
        return found

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Request:
        """Read a JSON object with this class's field names; LoRAs as texts or objects of `LoraUse`.

        Raises
        ------
        FaultsError
            If a field is unknown or of the wrong type: all such fields.
        """
        faults: list[str] = []
        kinds = {field.name: type(field.default) for field in fields(cls)}
        read: dict[str, Any] = {}
        for name, value in values.items():
            if name not in kinds:
                faults.append(f"unknown field {name!r}")
            elif name == "loras":
                read[name] = _loras(value, faults)
            elif kinds[name] is float and isinstance(value, int) and not isinstance(value, bool):
                read[name] = float(value)
            elif type(value) is not kinds[name]:
                faults.append(f"{name} must be a {_WORDS[kinds[name]]}, not {value!r:.40}")
            else:
                read[name] = value
        if faults:
            raise FaultsError("request", faults, f"Known fields: {', '.join(kinds)}.")
        return cls(**read)


_WORDS = {str: "text", int: "whole number", float: "number"}


def check_requests(requests: Iterable[Request]) -> None:
    """Refuse a list of requests with all its faults at once.

    Raises
    ------
    FaultsError
    """
    faults = [
        f"picture {number}: {fault}"
        for number, request in enumerate(requests, 1)
        for fault in request.faults()
    ]
    if faults:
        raise FaultsError("generate", list(dict.fromkeys(faults)))


def _loras(values: Any, faults: list[str]) -> tuple[LoraUse, ...]:
    found = []
    for value in values if isinstance(values, (list, tuple)) else [values]:
        try:
            if isinstance(value, str):
                found.append(LoraUse.parse(value))
            else:
                te_weight = value.get("te_weight")
                te_weight = None if te_weight is None else float(te_weight)
                found.append(LoraUse(Path(value["path"]), float(value.get("weight", 1.0)), te_weight))
        except (InputError, TypeError, ValueError, KeyError, AttributeError):
            faults.append(f"loras: {value!r:.60} is not a LoRA with weights")
    return tuple(found)
