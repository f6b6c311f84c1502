"""A view out of whatever a client sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.ui.view import PANELS, STEP_KINDS, View

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON | st.fixed_dictionaries({"project": JSON, "panel": JSON, "link": JSON, "edit": JSON}))
def test_any_value_gives_a_usable_view(value):
    view = View.from_json(value)
    assert view.panel in PANELS
    assert 0 <= view.link < 100
    assert isinstance(view.project, str)


def test_a_view_survives_the_browser():
    view = View("p", "edit", "o", "e", 2)
    assert View.from_json(view.to_json()) == view


def test_every_panel_of_the_method_shows_steps():
    assert set(STEP_KINDS) == set(PANELS) - {"jobs"}


@pytest.mark.parametrize("method", ["copier", "difference"])
def test_every_step_of_a_full_plan_has_its_panel(method):
    from lib_copier.recipe.model import Edit, Effect, Origin, Recipe
    from lib_copier.steps.plan import plan

    settings = {
        "project.method": method,
        "project.checkpoint": "base.safetensors",
        "base.train_style": True,
        "base.folder": "style",
        "base.as_file": True,
        "copier_model.as_file": True,
        "sweep.control": True,
    }
    origins = (Origin("a"), Origin("b"))
    recipe = Recipe(origins, (Edit("lines", (Effect("outline"),)),)).with_settings(settings)
    shown = {kind for kinds in STEP_KINDS.values() for kind in kinds}
    assert {step.id.partition("/")[0] for step in plan(recipe)} <= shown
