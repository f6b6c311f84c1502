"""Driving the wizard as a person would: by its buttons, fields and sliders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def browser(*arguments: str) -> Iterator[Any]:
    """A headless browser: the system's own, else playwright's."""
    sync_api = pytest.importorskip("playwright.sync_api")
    found = os.environ.get("COPIER_LORA_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_api.sync_playwright() as playwright:
        try:
            # Containers have no user namespaces for the browser's own sandbox.
            opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *arguments])
        except sync_api.Error as error:
            pytest.skip(f"no browser can be started: {error}")
        yield opened
        opened.close()


class Wizard:
    """One browser window on the wizard; remembers what went wrong in it."""

    def __init__(self, browser: Any, address: str, **window: Any) -> None:
        self.page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **window}).new_page()
        self.page.set_default_timeout(60_000)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note)
        self.page.goto(address)

    def _note(self, message: Any) -> None:
        place = str(message.location.get("url", ""))
        # Fonts and icons that gradio itself fetches are missing without a network.
        if message.type == "error" and "copier_lora" in message.text + place:
            self.errors.append(message.text)

    def ready(self) -> Wizard:
        """Wait until the first panel is drawn."""
        self.page.wait_for_selector("#copier_lora main h2")
        return self

    def open_tab(self, title: str) -> None:
        """Open one of the host's tabs; as an event, since gradio may still lay a veil over the page."""
        self.page.locator(f"#tabs button:visible:text-is('{title}')").first.dispatch_event("click")

    def act(self, name: str, /, **data: str) -> None:
        """Press the button of an act, and wait for its answer."""
        extra = "".join(f'[data-{key}="{value}"]' for key, value in data.items())
        with self._answer():
            self.page.click(f"#copier_lora [data-act={name}]{extra} >> visible=true")

    def go(self, panel: str) -> None:
        """Open a panel by the rail."""
        with self._answer():
            self.page.click(f'#copier_lora [data-region="rail"] [data-go-panel={panel}]')
        self.page.wait_for_selector(f'#copier_lora [data-go-panel={panel}][aria-current="step"]')

    def fill(self, key: str, value: str) -> None:
        """Type into the field of an option; folded fields are opened first."""
        field = self.page.locator(f'#copier_lora [data-set="{key}"]')
        if not field.is_visible():
            inside = self.page.locator(f'[data-set="{key}"]')
            self.page.locator("#copier_lora details", has=inside).locator("> summary").first.click()
        field.fill(value)
        with self._answer():
            field.blur()

    def make_project(self) -> None:
        """By the form as it stands, then an origin that is made in a moment."""
        self.ready().act("create_project")
        self.page.wait_for_selector('#copier_lora [data-set="origin.width"]')
        for key, value in (("origin.width", "64"), ("origin.height", "64"), ("origin.steps", "2")):
            self.fill(key, value)

    def choose(self, key: str, value: str) -> None:
        """Choose in the list of an option."""
        with self._answer():
            self.page.select_option(f'#copier_lora [data-set="{key}"]', value)

    def wait_for_state(self, panel: str, *states: str, seconds: float = 120) -> None:
        """Wait until the rail says one of these of a panel."""
        rail = '#copier_lora [data-region="rail"]'
        wanted = [f"{rail} [data-go-panel={panel}].cl-is-{state}" for state in states]
        self.page.wait_for_selector(", ".join([f"{rail} .cl-is-failed", *wanted]), timeout=seconds * 1000)
        assert self.state(panel) in states

    def state(self, panel: str) -> str:
        """What the rail says of a panel."""
        classes = self.page.get_attribute(
            f'#copier_lora [data-region="rail"] [data-go-panel={panel}]', "class"
        )
        return next(one[6:] for one in str(classes).split() if one.startswith("cl-is-"))

    def wait_for_picture(self, selector: str, width: int) -> None:
        """Wait until the server has sent a picture, of this width."""
        self.page.wait_for_function(
            "([selector, width]) => document.querySelector(selector)?.naturalWidth === width",
            arg=[f"#copier_lora {selector}", width],
        )

    def seen(self, selector: str) -> int:
        """How many of these can be seen."""
        return self.page.locator(f"#copier_lora {selector} >> visible=true").count()

    def complaint(self) -> str:
        """The text of the notice that says what went wrong, or empty."""
        found = self.page.locator("#copier_lora .cl-notice.cl-error span")
        return found.first.inner_text() if found.count() else ""

    @contextmanager
    def _answer(self) -> Iterator[None]:
        """Ask within; go on when all is answered and drawn: a response alone may be an earlier one."""
        yield
        self.page.wait_for_selector("#copier_lora:not([data-waiting])")
