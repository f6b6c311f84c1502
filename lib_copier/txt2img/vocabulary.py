"""CLIP's byte-pair vocabulary, from the merges that this package ships."""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib import resources

END_OF_WORD = "</w>"
START_TEXT = "<|startoftext|>"
END_TEXT = "<|endoftext|>"


@lru_cache(maxsize=1)
def merges() -> tuple[tuple[str, str], ...]:
    """The pairs that are joined, first those that are joined first."""
    packed = (resources.files("lib_copier.models") / "data" / "clip_merges.txt.gz").read_bytes()
    lines = (line.partition(" ") for line in gzip.decompress(packed).decode("utf-8").split("\n"))
    return tuple((left, right) for left, _, right in lines if right)


def words() -> list[str]:
    """All 49408, each at its id: the bytes, the bytes at a word's end, what merges make, and two marks."""
    symbols = byte_symbols()
    joined = (left + right for left, right in merges())
    return [*symbols, *(symbol + END_OF_WORD for symbol in symbols), *joined, START_TEXT, END_TEXT]


def byte_symbols() -> list[str]:
    """One visible character for each byte, in the order of CLIP's vocabulary.

    Printable bytes stand for themselves; the others take the characters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = 256 - len(printable)
    return [chr(code) for code in (*printable, *range(256, 256 + hidden))]
