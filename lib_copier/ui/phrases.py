"""What other parts of the program say – reasons, faults, notes – in the page's words for steps and settings.

They speak English, with the command line's ids and dotted keys, which people type there. ``words/said.json``
holds each of their sentences as a template; what a placeholder is called says what stands in its place:
``step``, ``key``, ``setting`` and ``group`` get the page's names, ``said`` and ``where`` are messages
themselves, ``value`` and ``choices`` are a setting's, ``name`` a name in quotes, ``quoted`` one that has them
already. In a translation ``[key]`` stands for a setting's label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from lib_copier.errors import CopierError, FaultsError
from lib_copier.recipe.options import OPTIONS
from lib_copier.ui.view import panel_of

if TYPE_CHECKING:
    from lib_copier.ui.texts import Texts

_PLACEHOLDER = re.compile(r"\{([a-z]+)\d*\}")
_KEYS = "|".join(sorted(map(re.escape, OPTIONS), reverse=True))
_GROUPS = "|".join(sorted({option.group for option in OPTIONS.values()}))
_NAMES = "|".join(sorted({option.name for option in OPTIONS.values()}, reverse=True))
_SHAPES = {
    "key": r"([a-z_]+(?:\.[a-z_0-9]+)?)",
    "group": rf"({_GROUPS})(?=\.(?:{_NAMES})\b)",
    "step": r"([a-z_]+(?:/[^/;]+)*)",
    "count": r"([\d.]+)",
    "setting": rf"({_KEYS})",
    "quoted": r"('[^']*'|\"[^\"]*\")",
    "value": r"(.*?)",
    "said": r"((?:(?!\. ).)+?)",
}
_KEY = re.compile(rf"(?<![\w./\\-])(?:{_KEYS})(?![\w/\\-])")
_LABEL = re.compile(r"\[([a-z_.]+)\]")
_BREAK = re.compile(r"(?<=[.:;]) ")


@dataclass(frozen=True)
class _Template:
    """One sentence of the program, and what the page says for it."""

    text: str
    said: str
    names: tuple[str, ...]
    pieces: tuple[str, ...]

    @property
    def pattern(self) -> re.Pattern[str]:
        return _compiled(self.text)

    def values(self, text: str) -> tuple[str, ...] | None:
        """What stands in the placeholders' places; None where the text is no such sentence."""
        if not all(piece in text for piece in self.pieces):
            return None
        found = self.pattern.fullmatch(text)
        return found.groups() if found else None


class Phrases:
    """The program's sentences in one language; `texts` gives names and labels."""

    def __init__(self, texts: Texts, said: Mapping[str, str | Mapping[str, str]]) -> None:
        self._texts = texts
        made = [_template(text, self._in_language(text, found)) for text, found in said.items()]
        # The most literal one is the one that was meant.
        self._templates = sorted(made, key=lambda one: -sum(map(len, one.pieces)))
        self._known: dict[str, str] = {}

    def said(self, text: str) -> str:
        """A message as the page says it; a sentence that is none of ours stays as it is."""
        found = self._known.get(text)
        if found is None:
            found = self._name_settings(self._whole(text) or self._in_parts(text))
            if len(self._known) < 2000:
                self._known[text] = found
        return found

    def error(self, error: CopierError) -> str:
        """An error that is meant for people, with its advice."""
        said = self.faults(error.faults) if isinstance(error, FaultsError) else self.said(error.what)
        return self._texts("said.then").join(filter(None, (said, self.said(error.advice))))

    def faults(self, faults: tuple[str, ...]) -> str:
        """Several faults in one line."""
        return self._texts("said.faults", faults=self._texts("said.and").join(map(self.said, faults)))

    def _label(self, name: str) -> str:
        """The label of a setting by its key, or by its name alone where several groups share it."""
        option = OPTIONS.get(name) or next((one for one in OPTIONS.values() if one.name == name), None)
        return self._texts.option_label(option) if option else self._texts.named("setting", name)

    def setting(self, key: str) -> str:
        """A setting with the panel that it is on; of a step, whatever the step is known by."""
        group, dot, name = key.partition(".")
        if not dot:
            return self._label(key)
        label = self._label(key if key in OPTIONS else name)
        return self._texts("said.setting", group=self._texts(f"{panel_of(group)}.title"), label=label)

    def step(self, step_id: str) -> str:
        """A step of a plan by what it makes, and of which origin and edit."""
        kind, *names = step_id.split("/")
        said = self._texts.named("step", kind)
        return self._texts("said.of", step=said, names=", ".join(names)) if names else said

    def _value(self, key: str, value: str) -> str:
        """A setting's value as the form shows it."""
        if value in {"", "None", "True", "False"}:
            return self._texts(f"value.{value or None}")
        option = OPTIONS.get(key)
        return self._texts.choice(option, value) if option else value

    def _in_language(self, text: str, found: str | Mapping[str, str]) -> str:
        """A sentence's words; English says the sentence itself where nothing else is given."""
        words = {"ja": found} if isinstance(found, str) else found
        return _LABEL.sub(lambda label: self._label(label[1]), words.get(self._texts.language, text))

    def _whole(self, text: str) -> str:
        """The page's words for a text that is one of our sentences; empty where it is none."""
        for template in self._templates:
            values = template.values(text)
            if values is not None:
                keys = [
                    value
                    for name, value in zip(template.names, values, strict=True)
                    if name in {"key", "setting"}
                ]
                shown = [
                    self._shown(name, value, keys[0] if keys else "")
                    for name, value in zip(template.names, values, strict=True)
                ]
                return _filled(template, shown)
        return ""

    def _in_parts(self, text: str) -> str:
        """Several sentences or phrases in a row, each by itself."""
        for cut in _BREAK.finditer(text):
            head, tail = text[: cut.start()], text[cut.end() :]
            said = self._whole(head.removesuffix(";"))
            if said:
                mark = self._texts("said.and") if head.endswith(";") else self._texts("said.then")
                return f"{said}{mark}{self.said(tail)}"
        head, stop, tail = text.partition(". ")
        return f"{head}{stop}{self.said(tail)}" if tail else text

    def _shown(self, name: str, value: str, key: str) -> str:
        if name == "step":
            return self.step(value)
        if name in {"key", "setting"}:
            return self.setting(value)
        if name == "where":
            return self.said(value)
        if name == "group":
            return self._texts(f"{panel_of(value)}.title")
        if name == "said":
            return self._texts("said.and").join(map(self.said, value.split("; ")))
        if name in {"value", "choices"}:
            return ", ".join(self._value(key, one) for one in value.split(", "))
        if name in {"name", "quoted"}:
            return self._texts("said.name", name=value[1:-1] if value[:1] in {"'", '"'} else value)
        return value

    def _name_settings(self, text: str) -> str:
        return _KEY.sub(lambda found: self.setting(found[0]), text)


def _filled(template: _Template, shown: list[str]) -> str:
    values = dict(zip(_placeholders(template.text), shown, strict=True))
    return _PLACEHOLDER.sub(lambda found: values[found[0]], template.said)


def _template(text: str, said: str) -> _Template:
    names = tuple(found[1] for found in _PLACEHOLDER.finditer(text))
    return _Template(text, said, names, tuple(filter(None, _PLACEHOLDER.sub("\0", text).split("\0"))))


def _placeholders(text: str) -> Iterator[str]:
    return (found[0] for found in _PLACEHOLDER.finditer(text))


@lru_cache(maxsize=1024)
def _compiled(text: str) -> re.Pattern[str]:
    made, end = "", 0
    for found in _PLACEHOLDER.finditer(text):
        made += re.escape(text[end : found.start()]) + _SHAPES.get(found[1], "(.+?)")
        end = found.end()
    return re.compile(made + re.escape(text[end:]), re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where on the page a fault is mended."""

    panel: str
    key: str = ""
    origin: str = ""
    edit: str = ""

    def view(self) -> dict[str, str]:
        """What a view of it shows; empty where the place does not say."""
        return {"panel": self.panel, "origin": self.origin, "edit": self.edit}


_OWNER = re.compile(r"(origin|edit) '([^']+)'")
_ADDRESS = re.compile(r"(origin|edit)s\.(.+?)\.(?:file\b|files\.|effects\b)")


def place_of(fault: str) -> Place:
    """The place that a fault of a recipe speaks of; the project's panel where it names nothing else."""
    key = _KEY.search(fault)
    owner = _OWNER.search(fault) or _ADDRESS.search(fault)
    names = {owner[1]: owner[2]} if owner else {}
    if key:
        return Place(panel_of(OPTIONS[key[0]].group), key[0], **names)
    what = owner[1] if owner else next((one for one in ("origin", "edit") if f"no {one}" in fault), "project")
    return Place(what, **names)
