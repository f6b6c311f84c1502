"""Rules for single values of a configuration: each takes what was written and returns it typed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Rule = Callable[[Any], Any]
"""Takes a JSON value; returns the typed value or raises ValueError with the reason, in words."""


def whole(low: int, high: int) -> Rule:
    """An integer in [low, high]; ``512.0`` counts, ``true`` does not."""

    def check(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"must be a whole number, not {value!r}")
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}, not {value}")
        return value

    return check


def number(low: float, high: float, *, above: bool = False) -> Rule:
    """A finite number in [low, high], or in (low, high] where `above` is set."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"must be a number, not {value!r}")
        if value > high or value < low or (above and value == low):
            opening = "above" if above else "at least"
            raise ValueError(f"must be {opening} {low:g} and at most {high:g}, not {value:g}")
        return float(value)

    return check


def one_of(*choices: str) -> Rule:
    """One of some words."""

    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {value!r}")
        return str(value)

    return check


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {value!r}")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """A list of strings."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"must be a list of texts, not {value!r}")
    return tuple(value)


def patterns(value: Any) -> tuple[str, ...]:
    """A list of regular expressions that compile."""
    found = texts(value)
    for pattern in found:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"holds {pattern!r}, which is no regular expression ({error})") from None
    return found


def path(value: Any) -> Path:
    """A path of a file to be written."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"must be a path, not {value!r}")
    return Path(value).expanduser()


def existing_file(value: Any) -> Path:
    """A path of a file that is there."""
    found = path(value)
    if found.is_dir():
        raise ValueError(f"is a folder, not a file: {found}")
    if not found.is_file():
        raise ValueError(f"is not there: {found}")
    return found


def optional(rule: Rule) -> Rule:
    """Null, or what `rule` accepts."""

    def check(value: Any) -> Any:
        return None if value is None else rule(value)

    return check


def pairs(value: Any) -> tuple[tuple[str, str], ...]:
    """An object of plain values, as (name, text) pairs in the order written."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be an object of names and values, not {value!r}")
    for name, item in value.items():
        if isinstance(item, (dict, list)) or item is None:
            raise ValueError(f"holds {name!r}, whose value must be a text or a number, not {item!r}")
    return tuple((str(name), item if isinstance(item, str) else str(item)) for name, item in value.items())
