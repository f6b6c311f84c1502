"""Tokens lie in chunks of 75 as the WebUI lays them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.models.chunks import split_chunks
from lib_copier.txt2img.prompt import Phrase, parse_prompt

COMMA = 267


def test_break_begins_a_new_chunk():
    phrases = parse_prompt("a BREAK b")
    assert [phrase.is_break for phrase in phrases] == [False, True, False]
    chunks = split_chunks(phrases, lambda text: [ord(c) for c in text if c != " "])
    assert [chunk.tokens for chunk in chunks] == [(ord("a"),), (ord("b"),)]


@given(st.lists(st.integers(0, 999), max_size=400))
@settings(deadline=None)
def test_chunks_hold_all_tokens_in_order(tokens):
    chunks = split_chunks([Phrase("x", 1.5)], lambda text: tokens, comma=COMMA)
    assert [token for chunk in chunks for token in chunk.tokens] == tokens
    assert all(len(chunk.tokens) == len(chunk.weights) <= 75 for chunk in chunks)
    assert len(chunks) >= 1


def test_a_full_chunk_ends_behind_a_near_comma():
    tokens = [1] * 60 + [COMMA] + [2] * 30
    first, second = split_chunks([Phrase("x")], lambda text: tokens, comma=COMMA)
    assert len(first.tokens) == 61 and second.tokens == (2,) * 30
    far = [1] * 40 + [COMMA] + [2] * 50
    first, _ = split_chunks([Phrase("x")], lambda text: far, comma=COMMA)
    assert len(first.tokens) == 75
