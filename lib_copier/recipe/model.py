"""The recipe as frozen data: which checkpoint, which origins, which edits, and every setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TypeVar

from lib_copier.recipe.options import OPTIONS, defaults, group
from lib_copier.settings.option import Value

SCHEMA = 2

Named = TypeVar("Named", "Origin", "Edit")
Settings = tuple[tuple[str, Value], ...]


_options_of = cache(group)


def settings_of(values: Mapping[str, Value]) -> Settings:
    """Settings in their one stored order (by key)."""
    return tuple(sorted(values.items()))


@dataclass(frozen=True)
class Effect:
    """One link of an edit's chain: an effect of `image`'s registry, how strong, and its parameters."""

    name: str
    strength: float = 1.0
    params: tuple[tuple[str, float], ...] = ()

    def text(self) -> str:
        """As typed: ``outline`` or ``outline:strength=0.8,width=2``."""
        values = [("strength", self.strength)] if self.strength != 1.0 else []
        given = ",".join(f"{key}={value:g}" for key, value in [*values, *self.params])
        return f"{self.name}:{given}" if given else self.name


@dataclass(frozen=True)
class Origin:
    """One origin picture; `settings` holds its values of the ``origin.*`` options, by their name."""

    name: str
    settings: Settings = ()

    def get(self, name: str) -> Value:
        """The value of ``origin.NAME`` for this picture."""
        return dict(self.settings).get(name, OPTIONS[f"origin.{name}"].default)

    @property
    def is_given(self) -> bool:
        """Whether its picture is a file that came from elsewhere: the WebUI made it, or a person has it."""
        return self.get("source") != "generate"

    def replaced(self, **values: Value) -> Origin:
        """The same origin with some values changed."""
        return replace(self, settings=settings_of({**dict(self.settings), **values}))


@dataclass(frozen=True)
class Edit:
    """One edit, which becomes one finished LoRA over all origins.

    Either a chain of `effects`, or for some or all origins a picture of the user's own (`files`,
    by the origin's name). `settings` replaces recipe settings of scope ``edit`` for this edit alone.
    """

    name: str
    effects: tuple[Effect, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    settings: Settings = ()

    def file_for(self, origin: str) -> str:
        """The user's own edited picture of this origin; empty where the effects make it."""
        return dict(self.files).get(origin, "")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a project makes."""

    origins: tuple[Origin, ...] = ()
    edits: tuple[Edit, ...] = ()
    settings: Settings = field(default_factory=lambda: settings_of(defaults()))

    @cached_property
    def _values(self) -> Mapping[str, Value]:
        """The settings by key: a plan asks for hundreds."""
        return dict(self.settings)

    def get(self, key: str, edit: Edit | None = None) -> Value:
        """The value of a setting, as this edit has it where it has its own."""
        if edit is not None and OPTIONS[key].scope == "edit":
            own = dict(edit.settings)
            if key in own:
                return own[key]
        return self._values.get(key, OPTIONS[key].default)

    def whole(self, key: str, edit: Edit | None = None) -> int:
        """The value of a setting that is a whole number; 0 for none."""
        value = self.get(key, edit)
        return int(value) if isinstance(value, (int, float)) else 0

    def number(self, key: str, edit: Edit | None = None) -> float:
        """The value of a setting that is a number; 0 for none."""
        value = self.get(key, edit)
        return float(value) if isinstance(value, (int, float)) else 0.0

    def texts(self, key: str, edit: Edit | None = None) -> tuple[str, ...]:
        """The value of a setting that is a list."""
        value = self.get(key, edit)
        return value if isinstance(value, tuple) else ()

    def lora_named(self, name: str) -> Path | None:
        """The file of a LoRA that prompts may name by its stem; None where the recipe has none."""
        return next((path for path in map(Path, self.texts("project.loras")) if path.stem == name), None)

    def group(self, name: str, edit: Edit | None = None) -> dict[str, Value]:
        """All settings of one group by their name after the dot."""
        own = dict(edit.settings) if edit else {}
        return {
            option.name: own.get(option.key, self._values.get(option.key, option.default))
            for option in _options_of(name)
        }

    @property
    def method(self) -> str:
        """``copier`` (method A), ``difference`` (method B) or ``pairs`` (method C)."""
        return str(self.get("project.method"))

    @property
    def checkpoint(self) -> str:
        """The base model's path, as the user gave it."""
        return str(self.get("project.checkpoint"))

    @property
    def draws_alike(self) -> bool:
        """Whether every origin is drawn here, and all in the same way: one training has walks of one kind."""
        alike = ("steps", "cfg_scale", "sampler", "negative_prompt", "clip_skip")
        ways = {tuple(one.get(name) for name in alike) for one in self.origins}
        return len(ways) == 1 and not any(one.is_given for one in self.origins)

    def origin(self, name: str) -> Origin:
        """The origin of that name (KeyError where there is none)."""
        return _named(self.origins, name)

    def edit(self, name: str) -> Edit:
        """The edit of that name (KeyError where there is none)."""
        return _named(self.edits, name)

    def as_made(self) -> Recipe:
        """The recipe without effects that make nothing: those of an edit whose every copy is the user's own.

        They stay in the recipe, to go back to; but what is learned and measured is the retouching.
        """
        names = [one.name for one in self.origins]
        edits = tuple(
            replace(one, effects=()) if names and all(map(one.file_for, names)) else one for one in self.edits
        )
        return self if edits == self.edits else replace(self, edits=edits)

    def with_settings(self, values: Mapping[str, Value]) -> Recipe:
        """The same recipe with some settings changed; values must already be accepted."""
        return replace(self, settings=settings_of({**self._values, **values}))

    def with_origin(self, origin: Origin) -> Recipe:
        """The recipe with this origin added, or put in the place of the one of its name."""
        return replace(self, origins=_placed(self.origins, origin))

    def with_edit(self, edit: Edit) -> Recipe:
        """The recipe with this edit added, or put in the place of the one of its name."""
        return replace(self, edits=_placed(self.edits, edit))

    def without_origin(self, name: str) -> Recipe:
        """The recipe without that origin and without the edits' files for it."""
        edits = tuple(
            replace(edit, files=tuple(item for item in edit.files if item[0] != name)) for edit in self.edits
        )
        return replace(self, origins=tuple(o for o in self.origins if o.name != name), edits=edits)

    def without_edit(self, name: str) -> Recipe:
        """The recipe without that edit."""
        return replace(self, edits=tuple(e for e in self.edits if e.name != name))


def parse_effects(text: str) -> tuple[Effect, ...]:
    """Effects as typed, joined by +: ``outline:strength=0.8+posterize:levels=4``.

    Raises
    ------
    ValueError
        With one sentence, where the text does not read as effects.
    """
    return tuple(_parse_effect(part.strip()) for part in text.split("+") if part.strip())


def _parse_effect(text: str) -> Effect:
    name, _, rest = text.partition(":")
    params: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"{item!r} in effect {name!r} is not NAME=NUMBER")
        params[key.strip()] = effect_number(key.strip(), value.strip())
    if not name.strip():
        raise ValueError(f"{text!r} names no effect")
    strength = params.pop("strength", 1.0)
    return Effect(name.strip(), strength, tuple(sorted(params.items())))


def effect_number(key: str, text: str) -> float:
    """A number of an effect as typed; ValueError, with one sentence, where it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{key}={text} is no number")
    return int(value) if value == int(value) and "." not in text else value


def _named(items: Iterable[Named], name: str) -> Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)


def _placed(items: tuple[Named, ...], item: Named) -> tuple[Named, ...]:
    placed: list[Named] = [item if one.name == item.name else one for one in items]
    if item not in placed:
        placed.append(item)
    return tuple(placed)
