"""The axes of a study: what of a recipe takes which values; everything from outside is checked here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lib_copier.errors import FaultsError
from lib_copier.files.names import normal_name
from lib_copier.recipe.model import Recipe
from lib_copier.recipe.options import OPTIONS
from lib_copier.steps.change import changed

MOST_VARIANTS = 10_000
MOST_AXES = 12
_MOST_TOLD = 5
_UNTOUCHED = ("check", "sweep", "publish")
"""Groups whose settings change no slider: they judge it, and all variants are judged alike."""
_IDLE = ("project.name", "project.device")


@dataclass(frozen=True)
class Choice:
    """One value of an axis: its name, and what of the recipe it sets: values by address."""

    name: str
    changes: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Axis:
    """Something that is tried in several ways."""

    name: str
    choices: tuple[Choice, ...]


def axis_of(address: str, values: Iterable[Any]) -> Axis:
    """The axis of one setting."""
    choices = tuple(Choice(_shown(value), ((address, value),)) for value in values)
    return Axis(normal_name(address), choices)


def read_axes(given: Any, base: Recipe, *, is_crossed: bool = True) -> tuple[Axis, ...]:
    """The axes in JSON data, each value tried on the recipe that the study starts from.

    An axis is ``{"address": ADDRESS, "values": [VALUE, …]}``, or, where its values set several things at
    once, ``{"name": NAME, "values": [{"name": NAME, "set": {ADDRESS: VALUE, …}}, …]}``. Addresses are those
    of `steps.change.changed`. What one axis sets, the next may vary.

    Raises
    ------
    FaultsError
        Every fault, of a long axis the first few.
    """
    faults: list[str] = []
    axes = tuple(_read_axis(one, number, faults) for number, one in enumerate(_list_of(given, faults), 1))
    found = [axis for axis in axes if axis is not None]
    for name, count in Counter(axis.name.casefold() for axis in found).items():
        if count > 1:
            faults.append(f"{count} axes are named {name!r}")
    faults += _count_faults(found, is_crossed=is_crossed)
    for axis, before in () if faults else after_each_other(found, base):
        faults += _few(_value_faults(axis, before), axis.name)
    if faults:
        raise FaultsError("axes", faults, "Mend them, then try again.")
    return tuple(found)


def document_of(axes: Iterable[Axis]) -> list[dict[str, Any]]:
    """The axes as JSON data, which `read_axes` reads again."""
    return [
        {
            "name": axis.name,
            "values": [{"name": choice.name, "set": dict(choice.changes)} for choice in axis.choices],
        }
        for axis in axes
    ]


def after_each_other(axes: Iterable[Axis], base: Recipe) -> Iterator[tuple[Axis, Recipe]]:
    """Each axis with the recipe that its values are tried on: those before it have their first values."""
    for axis in axes:
        yield axis, base
        with suppress(ValueError, TypeError):
            base = applied(base, axis.choices[0])


def applied(recipe: Recipe, choice: Choice) -> Recipe:
    """The recipe with what a choice sets; ValueError or TypeError where it does not take it."""
    for address, value in choice.changes:
        recipe = changed(recipe, address, value)
    return recipe


def count_of(axes: Sequence[Axis], *, is_crossed: bool) -> int:
    """How many variants these axes give."""
    sizes = [len(axis.choices) for axis in axes]
    return math.prod(sizes) if is_crossed else min(sizes, default=0)


def _list_of(given: Any, faults: list[str]) -> list[Any]:
    if isinstance(given, list) and 0 < len(given) <= MOST_AXES:
        return given
    faults.append(f"they are no list of 1 to {MOST_AXES} axes")
    return []


def _read_axis(given: Any, number: int, faults: list[str]) -> Axis | None:
    where = f"axis {number}"
    if not isinstance(given, dict) or set(given) not in ({"address", "values"}, {"name", "values"}):
        faults.append(f"{where} is no object of an address, or a name, and values")
        return None
    name = given.get("name", given.get("address"))
    values = given["values"]
    if not isinstance(name, str) or not name.strip() or len(name) > 200 or not name.isprintable():
        faults.append(f"{where}: its {'name' if 'name' in given else 'address'} is no name")
        return None
    where = f"axis {name!r}"
    if not isinstance(values, list) or not 0 < len(values) <= MOST_VARIANTS:
        count = len(values) if isinstance(values, list) else 0
        faults.append(f"{where} has {count} values; it takes 1 to {MOST_VARIANTS}")
        return None
    if "address" in given:
        return axis_of(name, map(_fixed, values))
    choices = [_read_choice(one) for one in values]
    if None in choices:
        faults.append(f"{where}: value {choices.index(None) + 1} is no object of a name and what it sets")
        return None
    return Axis(normal_name(name), tuple(choice for choice in choices if choice is not None))


def _read_choice(given: Any) -> Choice | None:
    if not isinstance(given, dict) or set(given) - {"name", "set"} or not isinstance(given.get("set"), dict):
        return None
    changes = tuple((str(address), _fixed(value)) for address, value in given["set"].items())
    name = given.get("name", ", ".join(_shown(value) for _, value in changes))
    return Choice(name, changes) if isinstance(name, str) and changes else None


def _count_faults(axes: Sequence[Axis], *, is_crossed: bool) -> Iterable[str]:
    if len({len(axis.choices) for axis in axes}) > 1 and not is_crossed:
        told = ", ".join(f"{axis.name} {len(axis.choices)}" for axis in axes)
        yield f"axes that are listed have as many values each ({told})"
    count = count_of(axes, is_crossed=is_crossed)
    if count > MOST_VARIANTS:
        yield f"they give {count} variants; a study takes {MOST_VARIANTS} at most"


def _value_faults(axis: Axis, base: Recipe) -> Iterable[str]:
    where = f"axis {axis.name!r}: "
    seen: dict[Recipe, str] = {}
    for choice in axis.choices:
        try:
            for address, _ in choice.changes:
                _require_matter(address)
            recipe = applied(base, choice)
        except (ValueError, TypeError) as error:
            yield f"{where}{error}"
            continue
        if recipe in seen:
            yield f"{where}{choice.name!r} is the same as {seen[recipe]!r}"
        seen[recipe] = choice.name


def _require_matter(address: str) -> None:
    """Raise ValueError where a setting changes no slider: every variant would be the same."""
    tail = address.split(".")[-2:]
    option = OPTIONS.get(".".join(tail)) or OPTIONS.get(f"origin.{tail[-1]}")
    is_idle = option is not None and (option.is_cosmetic or option.group in _UNTOUCHED)
    if is_idle or address in _IDLE:
        raise ValueError(f"{address} changes no slider, only how it is made, judged or called")


def _few(faults: Iterable[str], name: str) -> list[str]:
    found = list(faults)
    more = len(found) - _MOST_TOLD
    return found if more <= 1 else [*found[:_MOST_TOLD], f"axis {name!r}: {more} more values cannot be used"]


def _fixed(value: Any) -> Any:
    """A value from JSON as a recipe holds it."""
    return tuple(value) if isinstance(value, list) else value


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
