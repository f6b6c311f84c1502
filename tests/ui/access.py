"""Whether everybody can use the page: axe-core's rules on what is shown, and hands on the keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.browsing import Wizard

MOST_KEYS = 80


def barriers(page: Any) -> list[str]:
    """What axe-core calls serious or critical on a page with all its folds open, in light and in dark."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.evaluate("document.querySelectorAll('#copier_lora details').forEach((fold) => (fold.open = true))")
    found = []
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        for rule in axe.run(page).response["violations"]:
            if rule["impact"] in {"serious", "critical"}:
                found += [f"{scheme}: {rule['id']}: {node['html'][:120]}" for node in rule["nodes"]]
    return found


def reach(wizard: Wizard, selector: str) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(MOST_KEYS):
        if wizard.page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        wizard.page.keyboard.press("Tab")
    raise AssertionError(f"{MOST_KEYS} tabs do not reach {selector}")


def move_the_slider_by_keyboard(wizard: Wizard) -> None:
    """From a fresh page to another weight in the preview, without a mouse."""
    wizard.page.reload()
    wizard.ready()
    reach(wizard, "#copier_lora [data-go-panel]")
    wizard.page.keyboard.press("Home")
    for _ in range(20):
        if wizard.page.evaluate("document.activeElement.dataset.goPanel") == "preview":
            break
        wizard.page.keyboard.press("ArrowDown")
    wizard.page.keyboard.press("Enter")
    wizard.page.wait_for_selector("#copier_lora [data-scrub]")
    reach(wizard, "#copier_lora [data-scrub]")
    weight = wizard.page.locator("#copier_lora .cl-scrub output")
    before = weight.inner_text()
    wizard.page.keyboard.press("Home")
    assert weight.inner_text() != before
