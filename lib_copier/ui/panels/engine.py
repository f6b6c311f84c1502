"""The card of the sd-scripts engine: where it stands, a button to set it up, its log."""

from __future__ import annotations

from lib_copier.engines.state import MAKING, READY, engine_state, own_places
from lib_copier.ui import parts
from lib_copier.ui.form import folded
from lib_copier.ui.html import Html, tag
from lib_copier.ui.page import Page
from lib_copier.ui.progress import last_lines

_STATES = {"missing": "missing", "making": "running", "ready": "done", "broken": "failed"}


def engine_card(page: Page) -> Html:
    """State in words, and what can be done about it."""
    texts, places = page.texts, own_places()
    found = engine_state(places)
    state = _STATES[found.state]
    pill = tag("span", page.icon(state), texts(f"engine.{found.state}"), class_=f"cl-state cl-is-{state}")
    if found.state == MAKING:
        buttons: list[Html] = []
    elif not page.host.info.may_install:
        buttons = [tag("p", texts("engine.refused"), class_="cl-quiet")]
    elif found.state == READY:
        buttons = [
            parts.button(texts("engine.remove"), "engine", verb="remove", confirm=texts("engine.remove_sure"))
        ]
    else:
        buttons = [
            parts.button(
                texts("engine.install"), "engine", verb="install", confirm=texts("engine.install_sure")
            )
        ]
    log = last_lines(places.log)
    return tag(
        "div",
        tag("div", tag("strong", "sd-scripts"), pill, class_="cl-row"),
        tag("span", texts("engine.says"), class_="cl-quiet"),
        tag("span", found.why, class_="cl-quiet") if found.state != READY else None,
        [tag("span", note, class_="cl-quiet") for note in found.notes],
        tag("div", buttons, class_="cl-row") if buttons else None,
        folded(texts("engine.log"), tag("pre", log, class_="cl-log"), name="engine-log") if log else None,
        class_="cl-card",
    )
