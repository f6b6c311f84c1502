"""The page in windows of any width, and in a host of either gradio."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.ui.view import PANELS
from tests.ui import servers
from tests.ui.browsing import Wizard
from tests.ui.servers import free_port, python_for, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]


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
