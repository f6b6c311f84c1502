"""HTML that is built here cannot be broken out of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.markup.html import duration, element_id, join, signed, tag
from tests.ui.page_reader import read


@given(st.text(), st.text())
def test_text_and_attributes_come_back_as_they_were(text, value):
    reader = read(tag("p", text, title=value))
    assert [name for name, _ in reader.tags] == ["p"]
    if all(letter.isprintable() for letter in text + value):
        assert reader.text == text
        assert reader.tags[0][1] == {"title": value}


def test_hostile_text_makes_no_element():
    reader = read(join(tag("p", "<script>alert(1)</script>", title='"><img onerror=x>'), "<b>"))
    assert [name for name, _ in reader.tags] == ["p"]


def test_markup_that_was_built_here_stays_markup():
    assert tag("p", tag("b", "x")) == "<p><b>x</b></p>"
    assert tag("p", [tag("i"), None, False, ["y"]]) == "<p><i></i>y</p>"


def test_attributes():
    assert (
        tag("input", type="checkbox", checked=True, disabled=False, title=None)
        == '<input type="checkbox" checked>'
    )
    assert tag("a", class_="x", data_go_panel="y", name="z") == '<a class="x" data-go-panel="y" name="z"></a>'


def test_ids_are_of_one_form():
    assert element_id("field", "edit", "edit_lora.rank") == "copier_lora-field-edit-edit_lora-rank"
    assert " " not in element_id("a b", "c/d")


def test_what_no_page_can_hold_becomes_a_mark():
    built = tag("p", "a\0b\ud800c", title="\x1b")
    assert built == '<p title="\ufffd">a\ufffdb\ufffdc</p>'
    built.encode("utf-8")


@pytest.mark.parametrize("name", ["a b", "a>", "script", "STYLE", ""])
def test_no_element_of_another_kind_is_built(name):
    with pytest.raises(ValueError, match="no element"):
        tag(name, "x")


@pytest.mark.parametrize("name", ["onclick", "on_load", "a b", "x='", ""])
def test_no_attribute_of_another_kind_is_built(name):
    with pytest.raises(ValueError, match="no attribute"):
        tag("p", **{name: "x"})


@pytest.mark.parametrize("address", ["javascript:alert(1)", " JavaScript:x", "data:text/html,x", "vbscript:x",
                                     "data:image/svg+xml;base64,x", "java\tscript:alert(1)"])  # fmt: skip
def test_an_address_that_would_run_is_left_out(address):
    assert tag("a", "x", href=address) == "<a>x</a>"


@pytest.mark.parametrize(
    "address", ["./file=C:/a.png?1", "https://example.org/", "#a", "data:image/png;base64,AA", "a"]
)
def test_other_addresses_stay(address):
    assert read(tag("img", src=address)).tags == [("img", {"src": address})]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (8.44, "8.4 s"), (59.96, "1 min 00 s"), (200, "3 min 20 s"), (7300, "2 h 1 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_signed_weights():
    assert [signed(w) for w in (-0.5, 0.0, 1.0)] == ["\u22120.5", "0", "+1"]
