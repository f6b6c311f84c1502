"""The prompt syntax: worked examples, and properties that any text has."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.models.prompt import Phrase, parse_prompt, split_chunks

COMMA = 267


def read(text: str) -> list[tuple[str, float]]:
    return [(phrase.text, round(phrase.weight, 6)) for phrase in parse_prompt(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words", [("plain words", 1.0)]),
        ("", [("", 1.0)]),
        ("a (b) c", [("a ", 1.0), ("b", 1.1), (" c", 1.0)]),
        ("((b))", [("b", 1.21)]),
        ("[b]", [("b", round(1 / 1.1, 6))]),
        ("(b:1.4)", [("b", 1.4)]),
        ("(b: -.5 )", [("b", -0.5)]),
        ("(a (b:2) c:3)", [("a ", 3.0), ("b", 6.0), (" c", 3.0)]),
        ("([b])", [("b", 1.0)]),
        (r"\(b\) \[c\] \\", [("(b) [c] \\", 1.0)]),
        ("(open", [("open", 1.1)]),
        ("close) again]", [("close) again]", 1.0)]),
        ("time 10:30", [("time 10:30", 1.0)]),
        ("x:1.5)", [("x:1.5)", 1.0)]),
        ("(a:b:1.5)", [("a:b", 1.5)]),
        ("BREAKFAST", [("BREAKFAST", 1.0)]),
    ],
)
def test_examples(text, expected):
    assert read(text) == expected


def test_break_begins_a_new_chunk():
    phrases = parse_prompt("a BREAK b")
    assert [phrase.is_break for phrase in phrases] == [False, True, False]
    chunks = split_chunks(phrases, lambda text: [ord(c) for c in text if c != " "])
    assert [chunk.tokens for chunk in chunks] == [(ord("a"),), (ord("b"),)]


@given(st.text(st.sampled_from("ab ,:.1()[]\\BREAK"), max_size=40))
@settings(deadline=None, max_examples=300)
def test_no_letter_is_lost_and_nothing_crashes(text):
    phrases = parse_prompt(text)
    letters = [c for c in "".join(p.text for p in phrases) if c in "ab"]
    assert letters == [c for c in text if c in "ab"]
    assert all(
        a.weight != b.weight or a.is_break or b.is_break for a, b in zip(phrases, phrases[1:], strict=False)
    )


@given(st.text(st.characters(exclude_characters="()[]\\:", exclude_categories=["Cs"]), max_size=30))
@settings(deadline=None)
def test_escaped_text_is_itself(text):
    escaped = text.replace("BREAK", "break") + "(x)"
    hidden = escaped.replace("(", r"\(").replace(")", r"\)")
    assert parse_prompt(hidden) == [Phrase(escaped)]


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
