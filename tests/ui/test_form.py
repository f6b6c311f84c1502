"""Fields for every option of the table, named by its key."""

from __future__ import annotations

import pytest

from lib_copier.recipe.options import OPTIONS, group
from lib_copier.recipe.presets import PRESETS, preset_values
from lib_copier.settings.optimizers import OPTIMIZERS
from lib_copier.ui.form import field, fields
from lib_copier.ui.texts import LANGUAGES, Texts
from tests.ui.page_reader import read

ENGLISH = Texts("en")


@pytest.mark.parametrize("key", OPTIONS)
def test_an_options_field_carries_its_key_and_value(key):
    option = OPTIONS[key]
    reader = read(field(option, option.default, ENGLISH, target=option.scope))
    (control,) = [(name, found) for name, found in reader.tags if "data-set" in found]
    name, attributes = control
    assert attributes["data-set"] == key
    assert attributes["data-target"] == option.scope
    label = next(found for tag, found in reader.tags if tag == "label")
    assert label["for"] == attributes["id"]
    if name == "input" and attributes["type"] != "checkbox":
        assert option.parse(attributes["value"] or "") == option.default
    if name == "select":
        assert [f["value"] for tag, f in reader.tags if tag == "option"] == list(option.choices)
        assert sum("selected" in f for tag, f in reader.tags if tag == "option") == 1


def test_only_options_that_matter_are_drawn():
    values = {key: option.default for key, option in OPTIONS.items()}

    def drawn() -> set[str]:
        html = fields(
            group("origin"), lambda option: values[option.key], ENGLISH, target="origin", shown=values
        )
        return {found["data-set"] for _, found in read(html).tags if "data-set" in found}

    assert "origin.seed" in drawn()
    assert "origin.file" not in drawn()
    values["origin.source"] = "file"
    assert "origin.seed" not in drawn()
    assert "origin.file" in drawn()


def test_a_common_value_is_offered_only_beside_other_edits(ask, view):
    ask("set", view, key="edit_lora.rank", target="edit", value="4")
    place = {**view, "panel": "edit_lora"}
    assert 'data-act="unset"' not in ask("go", place)["html"]["panel"]
    ask("add_edit", view)
    assert ask("go", place)["html"]["panel"].count('data-act="unset"') == 1


def test_an_edits_own_value_can_be_given_back():
    option = OPTIONS["edit_lora.rank"]
    assert "data-act" not in field(option, 8, ENGLISH, target="edit")
    reader = read(field(option, 8, ENGLISH, target="edit", is_own=True))
    assert [f["data-key"] for _, f in reader.tags if f.get("data-act") == "unset"] == [option.key]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("optimizer", "rate", "is_usual"),
    [("adamw", 1e-4, True), ("adamw", 1.0, False), ("prodigy", 1.0, True), ("prodigy", 1e-4, False),
     ("lion", 1e-4, True), ("lion", 5e-3, False), ("sgd", 0.1, True)],
)  # fmt: skip
def test_an_optimiser_is_a_list_and_its_unusual_rates_are_told(language, optimizer, rate, is_usual):
    words = Texts(language)
    values = {"copier.optimizer": optimizer, "copier.learning_rate": rate, "copier.text_encoder_lr": None}
    drawn = [OPTIONS[key] for key in values]
    html = fields(drawn, lambda option: values[option.key], words, target="recipe", shown=values)
    reader = read(html)
    assert [found["value"] for name, found in reader.tags if name == "option"] == list(OPTIMIZERS)
    assert words.option_label(drawn[0]) in reader.text
    assert ("cl-warning" in html) != is_usual
    low, high = OPTIMIZERS[optimizer].rates
    told = words("form.rate", optimizer=OPTIMIZERS[optimizer].kind, low=f"{low:g}", high=f"{high:g}")
    assert (told in reader.text) != is_usual


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", ["copier", "difference"])
def test_no_preset_has_an_unusual_rate(preset, method):
    values = preset_values(preset, method)
    for group_name in ("copier", "edit_lora"):
        low, high = OPTIMIZERS[values[f"{group_name}.optimizer"]].rates
        assert low <= values[f"{group_name}.learning_rate"] <= high
