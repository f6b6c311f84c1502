"""One picture to print: its settings with their ranges, its LoRAs, and the list of samplers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from lib_copier.errors import FaultsError, InputError
from lib_copier.files.disk import is_there
from lib_copier.txt2img import prompt


class Sampler(NamedTuple):
    """What the WebUI calls a sampler and its schedule; an empty one is the sampler's own."""

    name: str
    schedule: str


SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        "Euler": Sampler("Euler", "Uniform"),
        "Euler a": Sampler("Euler a", "Uniform"),
        "DDIM": Sampler("DDIM", ""),
        "DPM++ 2M": Sampler("DPM++ 2M", "Uniform"),
        "DPM++ 2M Karras": Sampler("DPM++ 2M", "Karras"),
    }
)
"""Every sampler of the embedded generator, by the name that people choose."""

RANDOM_SEED = -1
"""Stands for a seed that is drawn when the picture is asked for, as in the WebUI."""
_LARGEST_WEIGHT = 100.0


@dataclass(frozen=True)
class LoraUse:
    """A LoRA, a file or PEFT's folder, and its strength on U-Net and (None: the same) text encoder."""

    path: Path
    weight: float = 1.0
    te_weight: float | None = None

    @property
    def text_weight(self) -> float:
        return self.weight if self.te_weight is None else self.te_weight

    @property
    def tag(self) -> str:
        """The WebUI's prompt syntax: ``<lora:stem:text encoder:U-Net>``."""
        weights = dict.fromkeys((f"{self.text_weight:g}", f"{self.weight:g}"))
        return f"<lora:{self.path.stem}:{':'.join(weights)}>"

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


class Setting(NamedTuple):
    """A setting of a picture as forms and command lines show it: what it is called, and its range."""

    label: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    def holds(self, value: Any) -> bool:
        """Whether a value is within the range, where there is one."""
        return self.minimum is None or self.maximum is None or self.minimum <= value <= self.maximum


def _of(default: Any, label: str, *limits: float, choices: Iterable[str] = ()) -> Any:
    low, high = limits or (None, None)
    return field(default=default, metadata={"setting": Setting(label, low, high, tuple(choices))})


@dataclass(frozen=True)
class PictureRequest:
    """What one picture is made from.

    `width` and `height` are in pixels, multiples of 8. `clip_skip` counts from the end of SD1's text
    encoder (1: its last layer). With `cfg_scale` 1 the negative prompt is not looked at. A host takes
    samplers of its own, and for them a `scheduler`.
    """

    prompt: str = _of("", "Prompt")
    negative_prompt: str = _of("", "Negative prompt")
    seed: int = _of(0, "Seed", 0, 2**53 - 1)
    width: int = _of(512, "Width", 64, 4096)
    height: int = _of(512, "Height", 64, 4096)
    steps: int = _of(20, "Sampling steps", 1, 500)
    cfg_scale: float = _of(7.0, "CFG scale", 0, 100)
    clip_skip: int = _of(1, "Clip skip", 1, 12)
    sampler: str = _of("Euler a", "Sampler", choices=SAMPLERS)
    scheduler: str = ""
    loras: tuple[LoraUse, ...] = ()

    def faults(self) -> Iterator[str]:
        """Everything that is wrong with it, a sentence each; looks whether its LoRA files are there."""
        for name, setting in SETTINGS.items():
            value = getattr(self, name)
            if not setting.holds(value):
                yield f"{name} {value} is not within {setting.minimum:.16g} to {setting.maximum:.16g}"
            elif name in ("width", "height") and value % 8:
                below = value - value % 8
                yield f"{name} {value} is no multiple of 8 (use {below} or {below + 8})"
            elif setting.choices and value not in setting.choices:
                yield f"{name} {value!r} is unknown (there are {', '.join(setting.choices)})"
        yield from self.prompt_faults()
        for lora in self.loras:
            # PEFT keeps a LoRA as a folder; what is in it is seen when it is read.
            if not is_there(lora.path) and not is_there(lora.path, as_folder=True):
                yield f"LoRA {lora.path}: no such file"
            if not all(abs(weight) <= _LARGEST_WEIGHT for weight in (lora.weight, lora.text_weight)):
                yield f"LoRA {lora.path.name}: weights must be within -100 to 100"

    def prompt_faults(self) -> Iterator[str]:
        """What of its prompts the embedded generator cannot do; so are tags without a file."""
        for name, text in (("prompt", self.prompt), ("negative_prompt", self.negative_prompt)):
            yield from (f"{name} {fault}" for fault in prompt.faults(text))

    def with_named_loras(self, find: Callable[[str], Path | None]) -> PictureRequest:
        """The same picture with the LoRAs that its prompt names taken out of it and into `loras`.

        `find` gives a name's file. Where one has none, the prompt stays as it is, and `faults` tells of it.
        """
        text, tags = prompt.networks(self.prompt)
        paths = [None if tag.fault else find(tag.name) for tag in tags]
        uses = [
            LoraUse(path, tag.unet, None if tag.text_encoder == tag.unet else tag.text_encoder)
            for path, tag in zip(paths, tags, strict=True)
            if path is not None
        ]
        if not tags or len(uses) < len(tags):
            return self
        return replace(self, prompt=text.strip(), loras=(*self.loras, *uses))

    def with_seed(self) -> PictureRequest:
        """The same picture with its seed drawn, where it is to be random."""
        return replace(self, seed=drawn_seed()) if self.seed == RANDOM_SEED else self

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> PictureRequest:
        """Read a JSON object with this class's field names; LoRAs as texts or objects of `LoraUse`.

        Raises
        ------
        FaultsError
            If a field is unknown or of the wrong type: all such fields.
        """
        faults: list[str] = []
        kinds = {one.name: type(one.default) for one in fields(cls)}
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
SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {one.name: one.metadata["setting"] for one in fields(PictureRequest) if one.metadata}
)
"""The settings of a picture by their field's name, in the order in which forms show them."""


def drawn_seed() -> int:
    """A seed as the WebUI draws them."""
    return secrets.randbelow(2**32)


def check_requests(requests: Iterable[PictureRequest], paths: Iterable[Path] = ()) -> None:
    """Refuse a list of requests, and the places to save them to, with all faults at once.

    Raises
    ------
    FaultsError
    """
    faults = [
        f"picture {number}: {fault}"
        for number, request in enumerate(requests, 1)
        for fault in request.faults()
    ]
    faults += [
        f"{path.parent}: no such folder" for path in paths if not is_there(path.parent, as_folder=True)
    ]
    if faults:
        raise FaultsError("generate", list(dict.fromkeys(faults)))


def lora_in(folders: Iterable[Path], name: str) -> Path | None:
    """The LoRA file of a name (a file's stem) in folders of LoRAs; None where there is none."""
    for folder in folders:
        found = sorted(path for path in folder.rglob("*.safetensors") if path.stem == name)
        if found:
            return found[0]
    return None


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


def sweep_picture(row: int, weight: float) -> str:
    """The file of a prompt's picture at a weight, for the step that reads it and the child that makes it."""
    return f"{row:02d}_{weight:+.2f}.png"
