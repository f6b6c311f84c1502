"""What a person must not read: ids of steps, dotted keys, and English sentences on a Japanese page."""

from __future__ import annotations

import re

from lib_copier.recipe.options import OPTIONS
from lib_copier.ui.view import STEP_KINDS
from tests.ui.page_reader import read

_KINDS = sorted(kind for kinds in STEP_KINDS.values() for kind in kinds)
_GROUPS = sorted({option.group for option in OPTIONS.values()} | set(_KINDS))
_NAMES = sorted({option.name for option in OPTIONS.values()} | {"chain"})
_STEP = rf"(?<![\w./-])(?:{'|'.join(_KINDS)})/\w"
_KEY = rf"(?<![\w./-])(?:{'|'.join(_GROUPS)})\.(?:{'|'.join(_NAMES)})(?![\w/])"
_OURS = re.compile(rf"{_STEP}|{_KEY}|\bNone\b|\bTrue\b")
_ENGLISH = re.compile(r"(?:\b[A-Za-z][a-z']+ ){3}[a-z']+")


def leaks(html: str, language: str) -> list[str]:
    """The words in a text or a page that are none for people."""
    text = read(html).told
    found = _OURS.findall(text)
    return found + (_ENGLISH.findall(text) if language == "ja" else [])
