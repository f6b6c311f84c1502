"""A prompt's tokens in chunks of 75, as the WebUI lays them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lib_copier.models.tokenizer import CHUNK_TOKENS
from lib_copier.txt2img.prompt import Phrase

_BACKTRACK = 20
"""A chunk that fills up gives what follows its last comma to the next one, if that is at most this much."""


@dataclass(frozen=True)
class Chunk:
    """At most 75 tokens with a weight each."""

    tokens: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()


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
