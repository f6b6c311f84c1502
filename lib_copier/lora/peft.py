"""The strength of adapters whose alpha stands in settings, as PEFT and diffusers keep it, not in tensors."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from lib_copier.errors import InputError
from lib_copier.files.disk import parse_json, read_json
from lib_copier.lora.metadata import SETTINGS_KEY

WEIGHTS_NAME, CONFIG_NAME = "adapter_model.safetensors", "adapter_config.json"
_JSON_LIMIT = 1 << 20
_KINDS = ("LORA", "LOHA", "LOKR")
_CHANGES_BASE = ("pissa", "olora", "corda", "loftq")
"""Ways to begin that take something out of the base weights: such factors alone are no change of it."""
_MOST_PATTERNS = 2048
_LONGEST_PATTERN = 400
# All names of a file are matched in milliseconds; patterns that are made to hang are stopped.
_MOST_SECONDS = 2.0
_PLAIN = re.compile(r"[\w.]+")
# What compiling takes grows exponentially with what is within what.
_MOST_NESTED = 6
_REPEATS = re.compile(r"\{[^}]*\d{3}")
_ADVICE = "Download the file again, or ask its maker."


def adapter_file(path: Path) -> Path:
    """The file that holds the tensors: the path itself, or what PEFT writes into a folder.

    Raises
    ------
    InputError
        Where a folder holds no such file.
    """
    if not path.is_dir():
        return path
    found = path / WEIGHTS_NAME
    if not found.is_file():
        raise InputError(f"{path} is a folder without {WEIGHTS_NAME}.", "Give a LoRA file, or PEFT's folder.")
    return found


class Patterns:
    """Numbers for modules by pattern, as `peft.utils.get_pattern_key` finds them: the first that matches.

    Raises
    ------
    InputError
        Where a pattern is no sound one, or (when it is used) all together take longer than any need.
    """

    def __init__(self, table: Mapping[str, float]) -> None:
        self._numbers = [(pattern, _compiled(pattern), number) for pattern, number in table.items()]
        self._seconds = _MOST_SECONDS

    def find(self, module: str, default: float | None) -> float | None:
        """The number for a module, or the default."""
        for pattern, compiled, number in self._numbers:
            if _ends_in(module, pattern) if compiled is None else self._matches(compiled, module):
                return number
        return default

    def _matches(self, compiled: Any, module: str) -> bool:
        started = time.monotonic()
        try:
            found = compiled.fullmatch(module, timeout=self._seconds) is not None
        except TimeoutError as error:
            raise _unsound(compiled.pattern, "it takes too long") from error
        self._seconds = max(1e-6, self._seconds - (time.monotonic() - started))
        return found


def _compiled(pattern: str) -> Any:
    """``(.*\\.)?(PATTERN)``, to be matched as a whole; None where plain comparing does."""
    if _PLAIN.fullmatch(pattern):
        return None
    import regex

    try:
        if _REPEATS.search(pattern):
            raise ValueError("it repeats too often")
        depths = accumulate((character == "(") - (character == ")") for character in pattern)
        if max(depths, default=0) > _MOST_NESTED:
            raise ValueError("it is nested too deeply")
        return regex.compile(rf"(.*\.)?({pattern})")
    except (regex.error, ValueError, RecursionError, OverflowError) as error:
        raise _unsound(pattern, str(error)) from error


def _ends_in(module: str, pattern: str) -> bool:
    """Whether a pattern of letters, and dots for any letter, is the module's name or its end behind a dot."""
    head, tail = module[: -len(pattern)], module[-len(pattern) :]
    is_there = len(tail) == len(pattern) and all(a in (".", b) for a, b in zip(pattern, tail, strict=True))
    return is_there and (not head or head.endswith("."))


def _unsound(pattern: str, why: str) -> InputError:
    return InputError(f"The pattern {pattern[:80]!r} in the LoRA's settings is no sound one: {why}.", _ADVICE)


@dataclass(frozen=True)
class PartSettings:
    """What the settings say of one model: alpha and rank, by patterns for some of its modules."""

    alpha: float | None
    rank: float | None
    alphas: Patterns
    ranks: Patterns
    uses_rslora: bool

    def scale(self, module: str, rank: int | None) -> float | None:
        """What the module's product is multiplied by; None where nothing is told.

        That is alpha / rank, and with rslora alpha / √rank.

        Parameters
        ----------
        module:
            Its dotted name in the model.
        rank:
            As the tensors have it; None where the change is kept without factors.

        Raises
        ------
        InputError
            Where the settings tell another rank.
        """
        alpha, told = self.alphas.find(module, self.alpha), self.ranks.find(module, self.rank)
        if rank is not None and told is not None and told != rank:
            raise InputError(f"{module} has the rank {rank}, but the settings say {told:g}.", _ADVICE)
        used = told if rank is None else rank
        if alpha is None or not used or used < 0:
            return None
        return alpha / math.sqrt(used) if self.uses_rslora else alpha / used


Settings = Mapping[str, PartSettings]
"""By part (``unet``, ``text_encoder``, ``text_encoder_2``); PEFT's, which are for one model, under ``""``."""


def scale_of(settings: Settings, source: str, rank: int | None) -> float | None:
    """What the settings tell for a layer, by the name that its file gives it."""
    module = source.removeprefix("base_model.model.")
    if "" in settings:
        return settings[""].scale(module, rank)
    part, _, inner = module.partition(".")
    return settings[part].scale(inner, rank) if part in settings else None


def read_settings(file: Path, metadata: Mapping[str, str], keys: Iterable[str]) -> Settings:
    """What stands beside an adapter's tensors: in the header, or in PEFT's configuration in the same folder.

    `keys` are the tensors' names.

    Raises
    ------
    InputError
        Where it is not sound, or of a kind that cannot be read.
    """
    is_dora = any("magnitude" in key or "dora_scale" in key for key in keys)
    if SETTINGS_KEY in metadata:
        found = parse_json(
            metadata[SETTINGS_KEY], f"{file}: {SETTINGS_KEY}", limit=_JSON_LIMIT, advice=_ADVICE
        )
        table = _object(found, f"{file}: {SETTINGS_KEY}")
        parts = dict.fromkeys(key.partition(".")[0] for key in table if "." in key)
        return {
            part: _settings(
                {k.partition(".")[2]: v for k, v in table.items() if k.startswith(f"{part}.")}, file, is_dora
            )
            for part in parts
        }
    config = file.with_name(CONFIG_NAME)
    if file.name != WEIGHTS_NAME or not config.is_file():
        return {}
    table = _object(read_json(config, limit=_JSON_LIMIT, advice=_ADVICE), str(config))
    kind = table.get("peft_type", "LORA")
    if kind not in _KINDS:
        raise InputError(
            f"{config}: {str(kind)[:40]} adapters are not supported.", f"Give one of {', '.join(_KINDS)}."
        )
    return {"": _settings(table, config, is_dora)}


def _settings(table: Mapping[str, Any], where: Path, is_dora: bool) -> PartSettings:
    if table.get("fan_in_fan_out"):
        raise InputError(f"{where}: fan_in_fan_out is not supported.", "Give a LoRA for Stable Diffusion.")
    beginning = table.get("init_lora_weights")
    if isinstance(beginning, str) and beginning.startswith(_CHANGES_BASE):
        raise InputError(
            f"{where}: adapters begun with {beginning[:40]} belong to a base that PEFT changed with them.",
            "Save it again with PEFT's path_initial_model_for_weight_conversion.",
        )
    if table.get("use_dora") is True and not is_dora:
        raise InputError(f"{where} says DoRA, but the file holds no magnitudes.", _ADVICE)
    return PartSettings(
        _number(table.get("lora_alpha", table.get("alpha")), where),
        _number(table.get("r"), where),
        Patterns(_numbers(table.get("alpha_pattern"), where)),
        Patterns(_numbers(table.get("rank_pattern"), where)),
        table.get("use_rslora") is True,
    )


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} is no JSON object.", _ADVICE)
    return value


def _number(value: Any, where: Path) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(f"{where}: {str(value)[:40]!r} is no number for an alpha or a rank.", _ADVICE)
    return float(value)


def _numbers(value: Any, where: Path) -> dict[str, float]:
    table = _object(value or {}, f"{where}: a pattern table")
    if len(table) > _MOST_PATTERNS or any(len(pattern) > _LONGEST_PATTERN for pattern in table):
        raise InputError(f"{where} has too many patterns, or too long ones.", _ADVICE)
    found = {pattern: _number(number, where) for pattern, number in table.items()}
    return {pattern: number for pattern, number in found.items() if number is not None}
