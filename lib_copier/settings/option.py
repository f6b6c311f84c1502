"""One option: its type, default, range and words, and how text, JSON and forms become its value."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lib_copier.errors import InputError
from lib_copier.files.disk import parse_json
from lib_copier.files.names import name_fault, normal_name

Value = bool | int | float | str | tuple[str, ...] | None

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
LISTS = frozenset({"list", "paths"})
_NOTHING = frozenset({"", "none", "null"})
_LINE_END = re.compile(r"\r\n|\r|\n")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,2})?")


@dataclass(frozen=True)
class Option:
    """A setting that people can change, described once for every place that shows or reads it.

    Parameters
    ----------
    key:
        Dotted name, ``GROUP.NAME``: the command line's flag, the JSON path and the form's id.
    kind:
        ``bool``, ``int``, ``float``, ``str``, ``name`` (part of a path, or empty), ``device``, ``path``
        (a file or folder), ``text`` (many lines), ``list`` (of texts) or
        ``paths`` (a list of FILE:WEIGHT).
    default:
        The value before any preset; its type fits `kind`, or None where the option is `optional`.
    minimum, maximum:
        Inclusive range of a number.
    choices:
        The only values allowed; empty where any will do.
    shown_when:
        ``(key, values)``: the option matters only while that other option has one of the values.
    advanced:
        Folded away in the form.
    scope:
        ``recipe`` (one value), ``origin`` (one a picture), ``edit`` (one value, which each edit may
        replace by its own).
    is_cosmetic:
        Changes how a step is run or shown, never its result: not part of a step's key.
    """

    key: str
    kind: str
    default: Value
    label: str
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    shown_when: tuple[str, tuple[Value, ...]] | None = None
    advanced: bool = False
    scope: str = "recipe"
    optional: bool = False
    is_cosmetic: bool = False

    @cached_property
    def group(self) -> str:
        """The part of the key before the dot: which panel the option belongs to."""
        return self.key.partition(".")[0]

    @cached_property
    def name(self) -> str:
        """The part of the key after the dot."""
        return self.key.partition(".")[2]

    def parse(self, text: str) -> Value:
        """The value that a person typed.

        Raises
        ------
        ValueError
            With one sentence, where the text is no such value or out of range.
        """
        bare = text.strip()
        if self.optional and bare.lower() in _NOTHING:
            return None
        if self.kind in LISTS:
            return self.accept(_split_list(bare))
        if self.kind == "bool":
            if bare.lower() in _TRUE | _FALSE:
                return bare.lower() in _TRUE
            raise ValueError(f"{self.key} is yes or no, not {text!r}")
        if self.kind in {"int", "float"}:
            try:
                return self.accept(int(bare) if self.kind == "int" else float(bare))
            except ValueError as error:
                raise ValueError(self._range_fault(text)) from error
        return self.accept(text if self.kind == "text" else bare)

    def accept(self, value: Any) -> Value:
        """The value as this option stores it, after checking type, range and choices.

        Takes what JSON and forms give: lists become tuples, whole floats become ints.

        Raises
        ------
        ValueError
            With one sentence that names the option and what it takes.
        """
        if value is None:
            if self.optional:
                return None
            raise ValueError(f"{self.key} needs a value")
        if self.kind == "bool":
            if isinstance(value, bool):
                return value
        elif self.kind in {"int", "float"}:
            return self._accept_number(value)
        elif self.kind in LISTS:
            if isinstance(value, (list, tuple)) and all(_is_text(item) for item in value):
                return tuple(item for item in value if item.strip())
        elif _is_text(value):
            return self._accept_text(value)
        raise ValueError(f"{self.key} takes {_KIND_WORDS[self.kind]}, not {_shown(value)}")

    def _accept_text(self, value: str) -> str:
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.key} is one of {', '.join(self.choices)}, not {_shown(value)}")
        if self.kind == "name":
            value = normal_name(value)
            fault = name_fault(value) if value else None
            if fault:
                raise ValueError(f"{self.key} {_shown(value)} {fault}")
        if self.kind == "device" and not _DEVICE.fullmatch(value):
            raise ValueError(f"{self.key} takes {_KIND_WORDS[self.kind]}, not {_shown(value)}")
        return value

    def _accept_number(self, value: Any) -> Value:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
            raise ValueError(self._range_fault(value))
        if self.kind == "int" and value != int(value):
            raise ValueError(self._range_fault(value))
        number = int(value) if self.kind == "int" else float(value)
        too_low = self.minimum is not None and number < self.minimum
        too_high = self.maximum is not None and number > self.maximum
        if too_low or too_high:
            raise ValueError(self._range_fault(value))
        return number

    def _range_fault(self, value: Any) -> str:
        what = "a whole number" if self.kind == "int" else "a number"
        if self.minimum is not None and self.maximum is not None:
            what += f" from {self.minimum:g} to {self.maximum:g}"
        elif self.minimum is not None:
            what += f" of at least {self.minimum:g}"
        also = " or none" if self.optional else ""
        return f"{self.key} is {what}{also}, not {_shown(value)}"

    def is_shown(self, values: Mapping[str, Value]) -> bool:
        """Whether the option matters, given the values of the others."""
        return self.shown_when is None or values.get(self.shown_when[0]) in self.shown_when[1]

    def text(self, value: Value) -> str:
        """The value as a person would type it; `parse` reads it back."""
        if value is None:
            return "none"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, tuple):
            lines = "\n".join(value)
            return lines if _split_list(lines.strip()) == list(value) else json.dumps(list(value))
        return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


_KIND_WORDS = {
    "bool": "yes or no",
    "str": "a text",
    "text": "a text",
    "name": "a name",
    "device": "auto, cpu, mps, cuda or cuda:N",
    "path": "a path",
    "list": "a list of texts",
    "paths": "a list of files",
}


def _is_text(value: Any) -> bool:
    """Whether it is a text that a path or a command line can hold."""
    return isinstance(value, str) and "\0" not in value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number that is larger than any float.
        return False


def _shown(value: Any) -> str:
    """A value in a message: short, whatever was given."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _split_list(text: str) -> list[str]:
    """One item a line; or a JSON array, which counts as one only where it is whole and holds texts alone.

    A prompt may begin with a bracket and hold semicolons.
    """
    if text.startswith("["):
        with contextlib.suppress(InputError):
            found = parse_json(text, "the list")
            if isinstance(found, list) and all(isinstance(item, str) for item in found):
                return found
    return [item.strip() for item in _LINE_END.split(text) if item.strip()]


def split_weighted(text: str) -> tuple[str, float]:
    """The path and the weight (1 where none is given); a drive letter's colon is no weight.

    Raises
    ------
    ValueError
        Where no path is left.
    """
    path, colon, tail = text.rpartition(":")
    try:
        weight = float(tail) if colon else math.nan
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        path, weight = text, 1.0
    if not path.strip():
        raise ValueError(f"{text!r} names no file")
    return path.strip(), weight
