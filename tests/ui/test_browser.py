"""The method in a real browser, click by click."""

from __future__ import annotations

import pytest

from lib_copier.ui.texts import Texts
from lib_copier.ui.view import PANELS
from tests.ui.access import barriers, move_the_slider_by_keyboard
from tests.ui.browsing import Wizard
from tests.ui.servers import free_port, python_for, serve_arguments, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_whole_method_by_clicks(chromium, address):
    """From an empty folder to a published slider, scrubbed in the preview; nobody is kept out of a panel."""
    wizard = Wizard(chromium, address)
    assert barriers(wizard.ready().page) == []
    wizard.make_project()
    shortened = {
        "copier": {
            "copier.steps": "3",
            "copier.rank": "4",
            "copier.copied_psnr": "",
            "copier.warmup_steps": "0",
        },
        "check": {"check.pairs": "1", "check.steps": "2", "check.goal_db": "0", "check.enough_db": "60"},
        "edit_lora": {"edit_lora.steps": "3", "edit_lora.rank": "4", "edit_lora.warmup_steps": "0"},
        "preview": {
            "sweep.pairs": "1",
            "sweep.steps": "2",
            "sweep.weight_step": "1",
            "sweep.goal_correlation": "1",
            "sweep.goal_leak": "0",
        },
    }
    for panel, values in shortened.items():
        wizard.go(panel)
        for key, value in values.items():
            wizard.fill(key, value)
    wizard.act("run_all")
    assert wizard.complaint() == ""
    # Random weights: what they print and keep is as it is, but no slider follows without a fault or leak.
    for panel in ("check", "edit"):
        wizard.wait_for_state(panel, "missed", "done", seconds=300)
        if wizard.state(panel) == "missed":
            _gone_on_with(wizard, panel)
    _gone_on_with(wizard, "preview")
    wizard.page.wait_for_selector("#copier_lora [data-scrub]")
    shown = wizard.page.locator("#copier_lora .cl-frames img >> visible=true")
    first = shown.first.get_attribute("src")
    wizard.wait_for_picture(".cl-frames img:not([hidden])", 64)
    wizard.page.locator("#copier_lora [data-scrub]").press("ArrowLeft")
    assert shown.first.get_attribute("src") != first
    assert wizard.page.inner_text("#copier_lora .cl-scrub output") == "0"
    wizard.go("publish")
    wizard.wait_for_state("publish", "done")
    with wizard.page.expect_download() as download:
        wizard.page.click("#copier_lora a[download]")
    assert download.value.suggested_filename.endswith(".safetensors")
    below = {panel: ("done", "accepted") for panel in ("check", "edit")}
    for panel in PANELS:
        if panel not in {"preview", "publish", "jobs"}:
            assert wizard.state(panel) in below.get(panel, ("done",)), panel
        wizard.go(panel)
        assert not wizard.seen(".cl-fault")
        assert barriers(wizard.page) == []
    move_the_slider_by_keyboard(wizard)
    assert wizard.errors == []


def _gone_on_with(wizard: Wizard, panel: str) -> None:
    """Wait until the run has ended at a panel's missed goal, and go on anyway."""
    wizard.wait_for_state(panel, "missed", seconds=300)
    wizard.go(panel)
    wizard.act("go_on", way="accept")
    assert wizard.complaint() == ""


def test_each_way_on_from_an_edit_that_the_vae_swallows(chromium, tmp_path, tiny):
    """Changed, then gone on anyway: nothing is spent on it before, and the rail never shows a tick."""
    port = free_port()
    with serving(python_for("newest"), serve_arguments(port, tmp_path / "data", tiny), port=port) as address:
        wizard = Wizard(chromium, address)
        wizard.make_project()
        wizard.go("check")
        # Random weights: what they print and what they keep is as it is, but no VAE keeps all.
        for name, value in (("pairs", "1"), ("steps", "2"), ("goal_db", "40")):
            wizard.fill(f"check.{name}", value)
        wizard.go("copier")
        for name, value in (("steps", "2"), ("rank", "2"), ("copied_psnr", "")):
            wizard.fill(f"copier.{name}", value)
        wizard.go("edit")
        wizard.fill("edit.least_kept", "1")
        wizard.act("run_all")
        wizard.wait_for_state("edit", "missed", seconds=300)
        _both_ways_are_offered(wizard, Texts("en"))
        wizard.act("go_on", way="change")
        assert wizard.complaint() == ""
        wizard.wait_for_state("edit", "missing", "stale", "running", seconds=60)
        wizard.wait_for_state("edit", "missed", seconds=300)
        assert wizard.errors == []
    arguments = [*serve_arguments(port, tmp_path / "data", tiny), "--language", "ja"]
    with serving(python_for("newest"), arguments, port=port) as address:
        wizard = Wizard(chromium, address).ready()
        wizard.act("open_project")
        wizard.go("edit")
        _both_ways_are_offered(wizard, Texts("ja"))
        wizard.act("go_on", way="accept")
        assert wizard.complaint() == ""
        wizard.wait_for_state("edit_lora", "running", "missing", "done", seconds=300)
        assert wizard.state("edit") == "accepted" and wizard.errors == []
        wizard.act("stop", how="discard")


def _both_ways_are_offered(wizard: Wizard, words: Texts) -> None:
    panel = wizard.page.locator("#copier_lora [data-region=panel]")
    for way in ("change", "accept"):
        button = panel.locator(f"[data-act=go_on][data-way={way}]")
        button.wait_for()
        assert words(f"way.{way}", changes="").strip() in button.inner_text()
    assert wizard.state("edit_lora") == "held" and wizard.seen("[data-region=panel] .cl-figure img")
    assert words("missed.survival") in panel.inner_text()


def test_rail_edit_preview_rerun_and_reload(chromium, address):
    """Clicks, live pictures, a running step found again."""
    wizard = Wizard(chromium, address)
    wizard.make_project()
    wizard.act("make_picture")
    wizard.wait_for_state("origin", "done")
    wizard.page.focus('#copier_lora [data-go-panel="origin"]')
    wizard.page.keyboard.press("ArrowDown")
    assert wizard.page.evaluate("document.activeElement.dataset.goPanel") == "copier"
    wizard.go("edit")
    _a_slider_moves_itself_alone(wizard)
    _edit_is_previewed_live(wizard, 64)
    _a_step_is_run_again(wizard)
    _a_running_step_is_found_again(wizard)
    assert wizard.errors == []


def _edit_is_previewed_live(wizard: Wizard, width: int) -> None:
    compare = wizard.page.locator("#copier_lora .cl-compare")
    before = compare.locator("img.cl-after").get_attribute("src")
    strength = wizard.page.locator('#copier_lora [data-live] [name="strength"]')
    strength.fill("0.4")
    wizard.page.wait_for_function(
        "old => document.querySelector('#copier_lora img.cl-after').getAttribute('src') !== old", arg=before
    )
    wizard.wait_for_picture("img.cl-after", width)
    compare.locator("[data-compare]").fill("20")
    assert "20%" in str(compare.get_attribute("style"))
    wizard.page.select_option('#copier_lora [data-choose="add_effect"]', "jpeg")
    wizard.page.wait_for_selector('#copier_lora [data-go-link="1"]')
    # The chain's next effect has sliders of its own, whatever was moved before.
    assert strength.input_value() == "1"


def _a_slider_moves_itself_alone(wizard: Wizard) -> None:
    """Away and back by the slider itself: its neighbours stand where they stood, all is up to date again."""
    sliders = wizard.page.locator("#copier_lora [data-live] .cl-slider")
    strength = sliders.locator("[name=strength]")
    shown = ["1", "5", "0.85", "0.6"]
    wizard.act("run")
    # What random weights keep of the edit is as it is.
    judged = ("done", "missed")
    wizard.wait_for_state("edit", *judged)
    for value, states in (("1.3", ("stale",)), ("1", judged)):
        strength.fill(value)
        wizard.wait_for_state("edit", *states)
        shown[0] = value
        assert sliders.locator("output").all_inner_texts() == shown
        assert [one.input_value() for one in sliders.locator("input").all()] == shown


def _a_step_is_run_again(wizard: Wizard) -> None:
    wizard.go("origin")
    wizard.fill("origin.seed", "9")
    wizard.wait_for_state("origin", "stale")
    wizard.act("make_picture")
    wizard.wait_for_state("origin", "done")


def _a_running_step_is_found_again(wizard: Wizard) -> None:
    wizard.go("copier")
    wizard.fill("copier.steps", "100000")
    wizard.fill("copier.copied_psnr", "")
    wizard.act("run")
    assert wizard.complaint() == ""
    wizard.wait_for_state("copier", "running")
    wizard.page.reload()
    wizard.ready()
    wizard.page.wait_for_selector("#copier_lora .cl-progress .cl-curve")
    assert wizard.state("copier") == "running"
    wizard.act("stop", how="save")
    wizard.wait_for_state("copier", "done")
