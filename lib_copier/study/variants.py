"""The variants of a study: every one is an ordinary recipe, with a number and a name that never change."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lib_copier.files.names import LONGEST, normal_name
from lib_copier.recipe.model import Recipe
from lib_copier.steps.change import all_changed
from lib_copier.study.axes import Axis, Choice

_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")
_SHORT = 12
"""Characters that a value has in a variant's name."""


@dataclass(frozen=True)
class Variant:
    """One way through the axes: a choice of each, in their order."""

    number: int
    """From 1 on, in the order of the axes: the last one turns fastest."""
    name: str
    choices: tuple[Choice, ...]

    def recipe(self, base: Recipe) -> Recipe:
        """What it makes of the recipe that the study starts from."""
        changes = dict(change for choice in self.choices for change in choice.changes)
        name = with_ending(str(base.get("project.name")), f"-{self.number}")
        return all_changed(base, changes).with_settings({"project.name": name})


def with_ending(name: str, ending: str) -> str:
    """A name with an ending, cut where both would be too long for a name."""
    kept = name.encode()[: LONGEST - len(ending.encode())].decode(errors="ignore").strip()
    return normal_name(f"{kept or 'study'}{ending}")


def variants(axes: Sequence[Axis], *, is_crossed: bool = True) -> tuple[Variant, ...]:
    """Every choice with every other, or the first of each axis, the second of each …"""
    lists = [axis.choices for axis in axes]
    ways = list(itertools.product(*lists) if is_crossed else zip(*lists, strict=True))
    digits = len(str(len(ways)))
    return tuple(
        Variant(number, _name(f"{number:0{digits}d}", axes, way), way) for number, way in enumerate(ways, 1)
    )


def _name(number: str, axes: Sequence[Axis], way: Sequence[Choice]) -> str:
    """The number tells variants apart; the rest of the name is for people, and may be part of a path."""
    words = [number, *_words(axes, way)]
    return "-".join(filter(None, words))[:LONGEST].rstrip("-.")


def _words(axes: Sequence[Axis], way: Sequence[Choice]) -> Iterator[str]:
    for axis, choice in zip(axes, way, strict=True):
        value = _UNSAFE.sub("-", choice.name).strip("-.")[:_SHORT].strip("-.")
        is_number = value.replace(".", "").replace("-", "").isdigit()
        about = _UNSAFE.sub("-", axis.name.rpartition(".")[2]).strip("-.")[:_SHORT]
        yield f"{about}-{value}" if is_number else value
