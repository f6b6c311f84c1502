"""The page's words in the language of the host: labels, help, states and messages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_copier.files.disk import read_json

if TYPE_CHECKING:
    from lib_copier.errors import CopierError
    from lib_copier.settings.option import Option
    from lib_copier.ui.phrases import Phrases

LANGUAGES = ("en", "ja")
FOLDER = Path(__file__).parent / "words"
"""LANGUAGE.json: the page's texts by key. options.LANGUAGE.json: label and help of options, by full
key, or by name where several groups share it; English has none, as the option table itself is English.
said.json: what other parts of the program say, see `phrases`."""


class Texts:
    """Call it with a key and the values of its placeholders."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else "en"
        self._texts = read_words(f"{self.language}.json")
        self._options = read_words(f"options.{self.language}.json")

    def __call__(self, key: str, **values: object) -> str:
        return self._texts[key].format(**values)

    def named(self, group: str, name: str) -> str:
        """What an entry of a registry is called; one that has no words here keeps its own name."""
        return self._texts.get(f"{group}.{name}", name)

    def has(self, key: str) -> bool:
        """Whether there is a text of that key."""
        return key in self._texts

    def option_label(self, option: Option) -> str:
        """An option's label."""
        own = self._own(option)
        return own[0] if own else option.label

    def option_help(self, option: Option) -> str:
        """An option's help, a sentence or empty."""
        own = self._own(option)
        return own[1] if own else option.help

    def choice(self, option: Option, value: str) -> str:
        """How a choice is called: in words where there are any, else as it is."""
        key = f"choice.{option.name}.{value}"
        return self._texts.get(key, value)

    def step(self, step_id: str) -> str:
        """A step of a plan by what it makes, and of which origin and edit."""
        return self._phrases.step(step_id)

    def setting(self, key: str) -> str:
        """A setting by its label and the panel that it is on."""
        return self._phrases.setting(key)

    def said(self, message: str) -> str:
        """What another part of the program says, in the page's words."""
        return self._phrases.said(message)

    def error(self, error: CopierError) -> str:
        """An error that is meant for people."""
        return self._phrases.error(error)

    @cached_property
    def _phrases(self) -> Phrases:
        # Here, not above: a page is built before anything has been said.
        from lib_copier.ui.phrases import Phrases

        return Phrases(self, read_words("said.json"))

    def _own(self, option: Option) -> tuple[str, str] | None:
        return self._options.get(option.key) or self._options.get(option.name)


@lru_cache(maxsize=8)
def read_words(name: str) -> Mapping[str, Any]:
    """One file of words; empty where there is none."""
    path = FOLDER / name
    return read_json(path) if path.is_file() else {}
