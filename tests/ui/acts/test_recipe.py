"""A setting that is changed on the page, and what becomes of it in the recipe."""

from __future__ import annotations

import pytest

from lib_copier.recipe.options import OPTIONS
from lib_copier.ui.form import field
from lib_copier.ui.texts import Texts
from lib_copier.ui.view import View
from tests.ui.page_reader import read


@pytest.mark.parametrize(
    "key", [key for key, one in OPTIONS.items() if one.kind in {"int", "float"} and not one.optional]
)
def test_every_number_can_be_set_where_it_belongs(ask, view, recipe, key):
    option = OPTIONS[key]
    low = 0 if option.minimum is None else option.minimum
    high = 100 if option.maximum is None else option.maximum
    value = int(low) + 1 if option.kind == "int" else (low + high) / 2
    answer = ask("set", view, key=key, target=option.scope, value=option.text(value))
    assert answer["notice"] is None
    stored = recipe()
    got = {
        "recipe": lambda: stored.get(key),
        "origin": lambda: stored.origins[0].get(option.name),
        "edit": lambda: dict(stored.edits[0].settings)[key],
    }[option.scope]()
    assert got == pytest.approx(value)


def test_a_value_out_of_range_is_refused_and_the_field_reset(ask, view, recipe):
    answer = ask("set", view, key="copier.rank", target="recipe", value="0")
    assert answer["notice"]["kind"] == "error"
    assert "Copier LoRA › Rank (dim)" in answer["notice"]["text"]
    assert answer["reset"]
    assert recipe().get("copier.rank") == 32


def test_an_edits_own_value_and_back(ask, view, recipe):
    ask("set", view, key="resize.rank", target="edit", value="4")
    assert recipe().get("resize.rank", recipe().edits[0]) == 4
    assert recipe().get("resize.rank") == 8
    ask("unset", view, key="resize.rank")
    assert recipe().get("resize.rank", recipe().edits[0]) == 8


def test_presets_and_methods_are_cards(ask, view, recipe):
    ask("set", view, key="preset", target="recipe", value="memo")
    assert recipe().get("copier.steps") == 3072
    ask("set", view, key="project.method", target="recipe", value="difference")
    assert recipe().method == "difference"
    html = ask("go", {**view, "panel": "combine"})["html"]["panel"]
    assert 'data-set="difference.sign"' in html


def as_the_page_sends(option, value):
    """A value through the field's HTML into what the page's script sends of it."""
    reader = read(field(option, value, Texts("en"), target=option.scope))
    (found,) = [found for _, found in reader.tags if "data-set" in found]
    return "checked" in found if found["type"] == "checkbox" else found["value"]


@pytest.mark.parametrize(
    "key", [key for key, option in OPTIONS.items() if option.kind in {"int", "float", "bool"}]
)
def test_every_value_goes_through_the_form_unchanged_and_back_is_up_to_date(ask, view, door, key):
    option, place = OPTIONS[key], {**view, "panel": OPTIONS[key].group}

    def look():
        page = door.wizard().page(View(**place))
        return [(step.id, step.params) for step in page.opened.project.plan()], page.value(option)

    def send(value):
        return ask("set", place, key=key, target=option.scope, value=value)["notice"]

    before = look()
    was = before[1]
    assert send(as_the_page_sends(option, was)) is None and look() == before
    ends = (not was,) if option.kind == "bool" else (option.minimum, option.maximum, 7)
    other = next(one for one in ends if one is not None and one != was)
    assert send(as_the_page_sends(option, other)) is None
    assert look()[1] == other
    assert send(as_the_page_sends(option, was)) is None and look() == before
