"""HTML that is built here cannot be broken out of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lib_copier.ui.html import element_id, join, tag
from tests.ui.page_reader import read


@given(st.text(), st.text())
def test_text_and_attributes_come_back_as_they_were(text, value):
    reader = read(tag("p", text, title=value))
    assert [name for name, _ in reader.tags] == ["p"]
    if "\0" not in text + value and "\r" not in text + value:
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
