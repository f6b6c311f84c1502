"""Every panel is drawn for every kind of project."""

from __future__ import annotations

import pytest

from lib_copier.graph.status import StepStatus
from lib_copier.ui.desk import Desk, Made
from lib_copier.ui.view import PANELS, STEP_KINDS
from tests.ui.conftest import make_project
from tests.ui.page_reader import read


@pytest.mark.parametrize("method", ["copier", "difference"])
@pytest.mark.parametrize("effect", ["outline", "own"])
def test_every_panel_is_drawn_for_every_kind_of_project(ask, checkpoint, method, effect):
    view = make_project(ask, checkpoint, name="any", method=method, effect=effect)["view"]
    ask("add_origin", view)
    for panel in PANELS:
        html = ask("go", {**view, "panel": panel})["html"]
        current = [found for _, found in read(html["rail"]).tags if "aria-current" in found]
        assert [found["data-go-panel"] for found in current] == [panel]
        assert "<h2>" in html["panel"]
        assert "could not be drawn" not in html["panel"]


@pytest.mark.parametrize(
    ("device", "told"), [("GPU <9>", "Took 1 min 05 s on GPU &lt;9&gt;."), ("", "Took 1 min 05 s.")]
)
def test_how_a_step_was_made_tells_its_device(ask, view, monkeypatch, device, told):
    monkeypatch.setattr(Desk, "made", lambda desk, step_id: Made(65.0, "", device))
    assert told in ask("go", {**view, "panel": "copier"})["html"]["panel"]


def test_a_panel_says_once_why_its_steps_are_out_of_date(ask, view, door, monkeypatch):
    """Steps behind each other wait for the same one, and for each other: the first says it for all."""

    def states(desk):
        chain = [step for step in desk.project.plan() if step.kind in STEP_KINDS["edit"]]
        waits = ["waits for origin/first", *(f"waits for {step.id}" for step in chain)]
        return {step.id: StepStatus(step, "stale", tuple(waits[: at + 1])) for at, step in enumerate(chain)}

    monkeypatch.setattr(Desk, "states", property(states))
    assert len(states(door.wizard().workshop.desk("lines"))) > 1
    panel = ask("go", {**view, "panel": "edit"})["html"]["panel"]
    assert panel.count("<strong>Out of date: </strong>") == 1
    assert panel.count("Origin picture (first)") == 1
