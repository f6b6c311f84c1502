"""Our tokenizer agrees with transformers' own, built from the same merges."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from lib_copier.models.tokenizer import END_ID, START_ID, PromptTokenizer
from lib_copier.txt2img.vocabulary import merges, words


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> CLIPTokenizer:
    folder = tmp_path_factory.mktemp("clip")
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words())}))
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges())]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def test_known_ids():
    """The ids that CLIP's own tokenizer gives."""
    assert PromptTokenizer().encode("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert PromptTokenizer().encode(",") == [267]
    assert PromptTokenizer().encode("") == []


def test_the_vocabulary_is_complete(reference):
    assert len(merges()) == 48894
    assert reference.vocab_size == 49408


@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
@settings(deadline=None, max_examples=200)
def test_ascii_text_as_transformers_reads_it(text, reference):
    if "<|" not in text:
        assert PromptTokenizer().encode(text) == reference(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize(
    "text",
    [
        "ふわふわの猫, 青空",
        "café naïve Ünïcode",
        "a cat’s ｂｏｗｌ， ﬁne “words”…",
        "1girl, 2boys; it's 10:30",
        "a\n\tb  c",
    ],
)
def test_other_text_as_transformers_reads_it(text, reference):
    assert PromptTokenizer().encode(text) == reference(text, add_special_tokens=False).input_ids


def test_a_chunk_is_framed_and_filled():
    assert PromptTokenizer(0).chunk([5, 6]) == [START_ID, 5, 6, END_ID] + [0] * 73
    assert PromptTokenizer().chunk(list(range(200)))[-1] == END_ID
    assert len(PromptTokenizer().chunk(list(range(200)))) == 77
