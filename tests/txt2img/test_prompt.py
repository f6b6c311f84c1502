"""The prompt syntax: worked examples, and properties that any text has."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.txt2img.prompt import Phrase, caption_of, faults, networks, parse_prompt, settled


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
        ("a \\ b\\", [("a  b", 1.0)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
    ],
)
def test_examples(text, expected):
    assert read(text) == expected


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


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("<lora:a>", [("a", 1.0, 1.0, "")]),
        ("<lora:a:0.5>", [("a", 0.5, 0.5, "")]),
        ("<lyco:a:0.5:-1>", [("a", -1.0, 0.5, "")]),
        ("<lora:a:te=0.3>", [("a", 0.3, 0.3, "")]),
        ("<lora:a:te=0.3:unet=2>", [("a", 2.0, 0.3, "")]),
        ("<lora:a:1><lora:b:0>", [("a", 1.0, 1.0, ""), ("b", 0.0, 0.0, "")]),
    ],
)
def test_tags_are_read_as_the_webui_reads_them(text, tags):
    rest, found = networks(f"x {text} y")
    assert rest.split() == ["x", "y"]
    assert [(one.name, one.unet, one.text_encoder, one.fault) for one in found] == tags


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<hypernet:a:1>", "is no LoRA"),
        ("<lora:a:x>", "no number"),
        ("<lora:a:nan>", "no number"),
        ("<lora:a:1:1:4>", "rank"),
        ("<lora:a:dyn=4>", "rank"),
        ("<lora:te=1>", "names no LoRA"),
        ("<lora:a:1>", "not known here"),
        ("cat AND dog", "mixes prompts"),
        ("a [red:blue:0.5] hat", "mixes prompts"),
        ("a [red:3] hat", "mixes prompts"),
        ("a [red::3] hat", "mixes prompts"),
        ("a [red|blue] hat", "mixes prompts"),
        ("x" * 20_001, "20001 characters"),
    ],
)
def test_what_only_the_webui_does_is_said(text, words):
    assert any(words in fault for fault in faults(text))


@pytest.mark.parametrize(
    "text", ["[red] apple", "(a:b:1.5)", "cats and dogs", "a < b > c", "[10:30] clock", ""]
)
def test_ordinary_prompts_have_no_fault(text):
    assert (list(faults(text)) == []) is (text != "[10:30] clock")


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("a [b:3]", "a b"),
        ("a [[[b]]:2]", "a [[b]]"),
        ("[(a:2):3]", "(a:2)"),
        ("a [b : c : 1] d", "a  c  d"),
        ("a[b:[c:d:2]:1]e", "ade"),
        ("a [unbalanced", "a [unbalanced"),
        ("((a][:b:c [d:3]", "((a][:b:c d"),
        ("[fe|||]male", "female"),
        ("[a|b:1]", "[a|b:1]"),
        (r"\[a:b:1\]", r"\[a:b:1\]"),
        ("a cat:1.2 AND a dog :0.5", "a cat, a dog "),
    ],
)
def test_prompts_settle_where_the_webuis_schedules_end(text, state):
    """The examples of the WebUI's own parser, at the last step (for alternatives: at the first)."""
    assert settled(text) == state


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("1girl, (solo:1.2), ((smile))", "1girl, solo, smile"),
        (r"hatsune miku \(vocaloid\)", "hatsune miku (vocaloid)"),
        ("a cat BREAK on a mat,", "a cat, on a mat"),
        ("<lora:thick lines:0.8> a cat", "a cat"),
        ("a cat:1.1 AND a [red:blue:0.5] hat", "a cat, a blue hat"),
        ("two\nlines", "two lines"),
        ("", ""),
    ],
)
def test_a_caption_holds_the_words_alone(text, caption):
    assert caption_of(text) == caption


@pytest.mark.parametrize(
    "unit", ["(a:", "[a:b:", "(", "[a|", "AND ", "<a:", ":1 ", r"\(", "BREAK ", "B", " "]
)
def test_long_prompts_of_brackets_are_read(unit):
    """Each of these took time with the square of its length, or recursion, in a simpler parser."""
    text = unit * (30_000 // len(unit))
    assert parse_prompt(text) and networks(text) and caption_of(text) is not None
    assert any("characters long" in fault for fault in faults(text))


@given(st.text(st.sampled_from("ab ,:.1()[]|<>\\AND"), max_size=40))
@settings(deadline=None, max_examples=300)
def test_settling_and_captions_take_any_text(text):
    assert settled(settled(text)) is not None
    assert "<lora:" not in caption_of(text + "<lora:a:1>")
