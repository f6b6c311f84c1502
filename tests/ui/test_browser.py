"""The page in a real browser, on every version of gradio that it has to run on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib_copier.engines.locate import demo_checkpoint
from lib_copier.ui.texts import Texts
from lib_copier.ui.view import PANELS
from tests.ui import servers
from tests.ui.access import barriers, move_the_slider_by_keyboard
from tests.ui.browsing import Wizard, browser
from tests.ui.servers import free_port, python_for, serve_arguments, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browsing() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture
def chromium(browsing: Any) -> Iterator[Any]:
    """The browser; what a test opened is closed after it, or it would go on asking beside the next."""
    yield browsing
    for context in browsing.contexts:
        context.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights, small enough to train in seconds."""
    from lib_copier.model_file.families import SD1
    from lib_copier.models.tiny import random_checkpoint

    return random_checkpoint(tmp_path_factory.mktemp("models") / "tiny.safetensors", SD1)


@pytest.fixture
def address(tmp_path: Path, tiny: Path) -> Iterator[str]:
    """The page on its own."""
    port = free_port()
    with serving(python_for("newest"), serve_arguments(port, tmp_path / "data", tiny), port=port) as found:
        yield found


def make_project(wizard: Wizard) -> None:
    """By the form as it stands, then an origin that is made in a moment."""
    wizard.ready().act("create_project")
    wizard.page.wait_for_selector('#copier_lora [data-set="origin.width"]')
    for key, value in (("origin.width", "64"), ("origin.height", "64"), ("origin.steps", "2")):
        wizard.fill(key, value)


def test_the_whole_method_by_clicks(chromium, address):
    """From an empty folder to a published slider, scrubbed in the preview; nobody is kept out of a panel."""
    wizard = Wizard(chromium, address)
    assert barriers(wizard.ready().page) == []
    make_project(wizard)
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


@pytest.mark.parametrize("language", ["en", "ja"])
def test_each_way_on_from_an_edit_that_the_vae_swallows(chromium, tmp_path, tiny, language):
    """Changed, then gone on anyway: nothing is spent on it before, and the rail never shows a tick."""
    port, words = free_port(), Texts(language)
    arguments = [*serve_arguments(port, tmp_path / "data", tiny), "--language", language]
    with serving(python_for("newest"), arguments, port=port) as address:
        wizard = Wizard(chromium, address)
        make_project(wizard)
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
        for way in ("change", "accept"):
            button = wizard.page.locator(f"#copier_lora [data-act=go_on][data-way={way}]")
            button.wait_for()
            assert wizard.state("edit_lora") == "held" and wizard.seen("[data-region=panel] .cl-figure img")
            assert words(f"way.{way}", changes="").strip() in button.inner_text()
            assert words("missed.survival") in wizard.page.inner_text("#copier_lora [data-region=panel]")
            wizard.act("go_on", way=way)
            assert wizard.complaint() == ""
            if way == "change":
                wizard.wait_for_state("edit", "missing", "stale", "running", seconds=60)
                wizard.wait_for_state("edit", "missed", seconds=300)
        wizard.wait_for_state("edit_lora", "running", "missing", "done", seconds=300)
        assert wizard.state("edit") == "accepted" and wizard.errors == []
        wizard.act("stop", how="discard")


def test_rail_edit_preview_rerun_and_reload(chromium, address):
    """Clicks, live pictures, a running step found again."""
    wizard = Wizard(chromium, address)
    make_project(wizard)
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


def test_a_click_on_the_rail_straight_from_a_field_goes_there(chromium, address):
    """Leaving the field stores it: the answer to that, on its way, must not call the browser back."""
    wizard = Wizard(chromium, address)
    make_project(wizard)
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


def test_a_complaint_goes_with_its_cause(chromium, address):
    """What keeps a run back is told as long as it does; a refusal until it is mended."""
    wizard = Wizard(chromium, address)
    make_project(wizard)
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


@pytest.mark.parametrize("version", ["3", "4"])
def test_the_tab_in_a_webui(chromium, tmp_path, version):
    """Our script as the host executes it, our tab among the host's, a picture sent from its gallery."""
    port = free_port()
    arguments = [str(Path(servers.__file__).with_name("webui_double.py")), str(tmp_path / "webui"), str(port)]
    with serving(python_for(version), arguments, port=port) as address:
        wizard = Wizard(chromium, address)
        wizard.open_tab("Copier LoRA")
        wizard.ready().act("create_project")
        wizard.page.wait_for_selector("#copier_lora [data-act=make_picture]")
        assert wizard.seen("nav .cl-step") == 10
        wizard.open_tab("txt2img")
        wizard.page.click("#copier_lora-txt2img-send")
        wizard.page.wait_for_selector("#copier_lora main .cl-figure img")
        wizard.wait_for_picture("main .cl-figure img", 64)
        assert wizard.page.input_value('#copier_lora [data-set="origin.prompt"]') == "a cat"
        assert wizard.errors == []


_HIDE = """addEventListener("DOMContentLoaded", () => document.head.insertAdjacentHTML(
    "beforeend", "<style id='hides'>#copier_lora { display: none !important; }</style>"))"""
_IS_SHOWN = """() => {
    const step = document.querySelector("#copier_lora [data-region=rail] [aria-current]");
    const { left, right } = step.getBoundingClientRect();
    return left < right && left >= 0 && right <= innerWidth;
}"""


def test_the_strip_shows_the_current_step_once_its_tab_is_opened_or_its_window_narrower(chromium, address):
    wizard = Wizard(chromium, address).ready()
    wizard.act("create_project")
    wizard.go("publish")
    wizard.page.set_viewport_size({"width": 390, "height": 900})
    wizard.page.wait_for_function(_IS_SHOWN)
    wizard.page.add_init_script(_HIDE)
    wizard.page.reload()
    wizard.page.wait_for_selector("#copier_lora main h2", state="attached")
    wizard.page.evaluate("document.querySelector('#hides').remove()")
    wizard.page.wait_for_function(_IS_SHOWN)
    assert wizard.errors == []


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_nothing_is_cut_off(chromium, address, width):
    """Every panel fits its window, with the longest names too: no sideways scrolling of the page."""
    wizard = Wizard(chromium, address, viewport={"width": width, "height": 900}).ready()
    wizard.page.fill("#copier_lora [name=name]", "W" * 60)
    wizard.act("create_project")
    for panel in PANELS:
        wizard.go(panel)
        wide = wizard.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, panel
