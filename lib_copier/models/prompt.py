"""The WebUI's prompt syntax: (more), [less], (exactly:1.3), \\( escaped \\), BREAK, and any length."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lib_copier.models.tokenizer import CHUNK_TOKENS

STRENGTHEN = 1.1
_BACKTRACK = 20
"""A chunk that fills up gives what follows its last comma to the next one, if that is at most this much."""

_TOKEN = re.compile(
    r"""
    \\[()\[\]\\]                      # an escaped bracket or backslash
    | :\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)  # the end of (words:1.3)
    | [()\[\]:\\]
    | \s*\bBREAK\b\s*
    | [^\\()\[\]:B]+ | B
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Phrase:
    """Words that share one weight; `is_break` marks the wish to begin a new chunk (it has no words)."""

    text: str
    weight: float = 1.0
    is_break: bool = False


@dataclass(frozen=True)
class Chunk:
    """At most 75 tokens with a weight each."""

    tokens: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()


class _Words:
    """Phrases underway: text of equal weight joins, brackets multiply what has come since they opened."""

    def __init__(self) -> None:
        self.phrases: list[Phrase] = []

    def add(self, text: str) -> None:
        self.phrases.append(Phrase(text))

    def multiply(self, start: int, factor: float) -> None:
        self.phrases[start:] = [
            Phrase(phrase.text, phrase.weight * factor, phrase.is_break) for phrase in self.phrases[start:]
        ]

    def joined(self) -> list[Phrase]:
        found: list[Phrase] = []
        for phrase in self.phrases:
            last = found[-1] if found else None
            if last and not phrase.is_break and not last.is_break and last.weight == phrase.weight:
                found[-1] = Phrase(last.text + phrase.text, last.weight)
            else:
                found.append(phrase)
        return found or [Phrase("")]


def parse_prompt(text: str) -> list[Phrase]:
    """Split a prompt by weight.

    ``(`` … ``)`` strengthens by 1.1 and ``[`` … ``]`` weakens by 1.1, nested as deep as one likes;
    ``(words:1.3)`` says the factor. A bracket that never closes acts to the end; one that never opened,
    and a colon outside of brackets, are ordinary text. A backslash makes a bracket ordinary
    and vanishes itself.

    >>> [(phrase.text, phrase.weight) for phrase in parse_prompt("a (red:1.5) cat")]
    [('a ', 1.0), ('red', 1.5), (' cat', 1.0)]
    """
    words = _Words()
    opened: dict[str, list[int]] = {"(": [], "[": []}
    for token in _TOKEN.finditer(text):
        piece = token[0]
        if piece in opened:
            opened[piece].append(len(words.phrases))
        elif token["weight"] and opened["("]:
            words.multiply(opened["("].pop(), float(token["weight"]))
        elif piece == ")" and opened["("]:
            words.multiply(opened["("].pop(), STRENGTHEN)
        elif piece == "]" and opened["["]:
            words.multiply(opened["["].pop(), 1.0 / STRENGTHEN)
        elif piece.strip() == "BREAK":
            words.phrases.append(Phrase("", is_break=True))
        elif piece[0] == "\\":
            words.add(piece[1:])
        else:
            words.add(piece)
    for start in opened["("]:
        words.multiply(start, STRENGTHEN)
    for start in opened["["]:
        words.multiply(start, 1.0 / STRENGTHEN)
    return words.joined()


def split_chunks(
    phrases: Iterable[Phrase], encode: Callable[[str], list[int]], comma: int | None = None
) -> list[Chunk]:
    """Lay tokens into chunks of 75, at least one.

    Parameters
    ----------
    encode:
        The tokens of a text.
    comma:
        The comma's token: a chunk rather ends behind one than within a phrase.
    """
    chunks: list[Chunk] = []
    tokens: list[tuple[int, float]] = []

    def close(count: int) -> None:
        chunks.append(Chunk(*_unzipped(tokens[:count])))
        del tokens[:count]

    for phrase in phrases:
        if phrase.is_break:
            close(len(tokens))
            continue
        for token in encode(phrase.text):
            if len(tokens) == CHUNK_TOKENS:
                close(_comfortable_end(tokens, comma) if token != comma else CHUNK_TOKENS)
            tokens.append((token, phrase.weight))
    if tokens or not chunks:
        close(len(tokens))
    return chunks


def _comfortable_end(tokens: list[tuple[int, float]], comma: int | None) -> int:
    """How many tokens of a full chunk stay in it: up to its last comma where that is near the end."""
    for behind in range(min(_BACKTRACK, len(tokens))):
        if tokens[len(tokens) - 1 - behind][0] == comma:
            return len(tokens) - behind
    return len(tokens)


def _unzipped(pairs: list[tuple[int, float]]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    return tuple(token for token, _ in pairs), tuple(weight for _, weight in pairs)
