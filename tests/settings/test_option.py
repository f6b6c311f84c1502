"""Options read what their own text says, and lists are one item a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.settings.option import Option, split_weighted

LIST = Option("sweep.prompts", "list", (), "Prompts")


@pytest.mark.parametrize(
    ("typed", "items"),
    [
        ("a cat\nb; with a semicolon", ("a cat", "b; with a semicolon")),
        ("[red] apple", ("[red] apple",)),
        ("[red:blue:0.5] hat\r\n(a:1.2)", ("[red:blue:0.5] hat", "(a:1.2)")),
        ('["a", "b"]', ("a", "b")),
        ('["a", 1]', ('["a", 1]',)),
        ("[1, 2]", ("[1, 2]",)),
        ("[" * 2000, ("[" * 2000,)),
        ("[]", ()),
        ("", ()),
        ("\n  a  \n\n", ("a",)),
    ],
)
def test_lists_are_read_by_line_or_as_a_whole_array(typed, items):
    assert LIST.parse(typed) == items


def test_no_text_of_a_list_holds_a_null():
    """No path and no argument of a command can."""
    with pytest.raises(ValueError, match="takes"):
        LIST.accept(["a", "b\0c"])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=4))
def test_a_list_is_read_back_from_its_text(items):
    kept = LIST.accept([item for item in items if "\0" not in item])
    assert LIST.parse(LIST.text(kept)) == kept


@given(
    st.lists(
        st.sampled_from(["[red] apple", '["a"]', "a; b", "(x:1.2)", "none", " pad ", "two\nlines"]),
        max_size=3,
    )
)
def test_prompts_are_read_back_from_their_text(items):
    assert LIST.parse(LIST.text(tuple(items))) == tuple(items)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.safetensors", ("a.safetensors", 1.0)),
        ("a.safetensors:0.5", ("a.safetensors", 0.5)),
        ("C:\\x\\a.safetensors", ("C:\\x\\a.safetensors", 1.0)),
        ("C:\\x\\a.safetensors:-1", ("C:\\x\\a.safetensors", -1.0)),
        ("a:nan", ("a:nan", 1.0)),
    ],
)
def test_weights_are_read_on_every_system(text: str, expected: tuple[str, float]) -> None:
    assert split_weighted(text) == expected
