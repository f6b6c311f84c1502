"""Fields and complaints in a real browser: what a person typed stands, and a fault goes with its cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.engines.locate import demo_checkpoint
from tests.ui.browsing import Wizard
from tests.ui.servers import free_port, python_for, serve_arguments, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_click_on_the_rail_straight_from_a_field_goes_there(chromium, address):
    """Leaving the field stores it: the answer to that, on its way, must not call the browser back."""
    wizard = Wizard(chromium, address)
    wizard.make_project()
    wizard.page.route(
        "**/run/copier_lora", lambda route: (wizard.page.wait_for_timeout(300), route.continue_())
    )
    wizard.page.fill('#copier_lora [data-set="origin.seed"]', "5")
    wizard.page.click('#copier_lora [data-region="rail"] [data-go-panel="copier"]')
    wizard.page.wait_for_selector('#copier_lora [data-set="copier.steps"]')
    assert wizard.state("copier") == "missing"
    wizard.go("origin")
    assert wizard.page.input_value('#copier_lora [data-set="origin.seed"]') == "5"
    assert wizard.errors == []


def test_a_complaint_goes_with_its_cause(chromium, address):
    """What keeps a run back is told as long as it does; a refusal until it is mended."""
    wizard = Wizard(chromium, address)
    wizard.make_project()
    width = wizard.page.input_value('[data-set="origin.width"]')
    wizard.fill("origin.width", "7")
    assert "Origin picture › Width" in wizard.complaint()
    wizard.fill("origin.width", width)
    assert wizard.complaint() == "", "as it was before"
    wizard.fill("origin.width", "7")
    assert "Origin picture › Width" in wizard.complaint()
    wizard.fill("origin.prompt", "")
    assert wizard.complaint() == ""
    wizard.act("make_picture")
    assert "Prompt is empty" in wizard.complaint()
    wizard.go("copier")
    assert "Prompt is empty" in wizard.complaint(), "it is so still"
    wizard.go("origin")
    wizard.fill("origin.prompt", "a cat")
    assert wizard.complaint() == ""
    assert wizard.errors == []


def test_the_form_follows_its_checkpoint_and_keeps_what_was_put_there(chromium, tmp_path, tiny):
    """Another checkpoint suggests another prompt; what a person typed or chose outlives every drawing."""
    port, demo = free_port(), demo_checkpoint()
    arguments = [*serve_arguments(port, tmp_path / "data", tiny), "--checkpoint", str(demo)]
    with serving(python_for("newest"), arguments, port=port) as address:
        page = Wizard(chromium, address).ready().page
        prompt, method = "#copier_lora [name=prompt]", "#copier_lora [name=method][value=difference]"
        first, drawn = page.input_value(prompt), "#copier_lora:not([data-waiting])"

        def choose(path: Path) -> None:
            page.focus("#copier_lora [name=checkpoint]")
            page.select_option("#copier_lora [name=checkpoint]", str(path))
            page.wait_for_selector(drawn)

        choose(demo)
        suggested = page.input_value(prompt)
        assert suggested != first
        page.check(method)
        choose(tiny)
        assert page.input_value(prompt) == first
        page.fill(prompt, "a house of mine")
        choose(demo)
        assert page.input_value(prompt) == "a house of mine"
        assert page.is_checked(method)
        page.fill(prompt, suggested)
        choose(tiny)
        assert page.input_value(prompt) == first, "as suggested is nobody's own"
