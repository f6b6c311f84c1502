"""The cards of the two engines: where each stands, a button to set it up, its log."""

from __future__ import annotations

from lib_copier.engines.state import MAKING, READY, engine_state, own_places
from lib_copier.graph.queue import Job
from lib_copier.html import Html, tag
from lib_copier.ui import built_in, parts
from lib_copier.ui.form import folded
from lib_copier.ui.page import Page
from lib_copier.ui.progress import last_lines

_STATES = {"missing": "missing", "making": "running", "ready": "done", "broken": "failed"}


def engine_cards(page: Page) -> Html:
    """The built-in engine and sd-scripts, side by side."""
    return tag("div", _built_in(page), _sd_scripts(page), class_="cl-cards")


def setup_reminder(page: Page) -> Html:
    """What has to be done once before anything can run; nothing where it is done."""
    if built_in.is_ready():
        return Html("")
    return tag("div", tag("strong", page.texts("engine.first")), _built_in(page), class_="cl-warning")


def _built_in(page: Page) -> Html:
    job = page.workshop.queue.find("built-in")
    is_making = job is not None and job.is_open
    state = "ready" if built_in.is_ready() and not is_making else "making" if is_making else "missing"
    log = last_lines(page.workshop.queue.log(job.id)) if job is not None and state != "ready" else ""
    why = job.message if job is not None and state == "missing" else ""
    buttons = _button(page, "set_up", "engine.set_up") if state == "missing" else None
    return _card(
        page, page.texts("engine.built_in"), state, page.texts("engine.built_in_says"), (why,), buttons, log
    )


def _sd_scripts(page: Page) -> Html:
    places = own_places()
    found = engine_state(places)
    job: Job | None = page.workshop.queue.find("engine")
    state = "making" if job is not None and job.is_open else found.state
    told = (*(() if found.state == READY else (found.why,)), *found.notes)
    if state == MAKING:
        buttons = None
    elif state == READY:
        buttons = _button(page, "remove", "engine.remove")
    else:
        buttons = _button(page, "install", "engine.install")
    return _card(page, "sd-scripts", state, page.texts("engine.says"), told, buttons, last_lines(places.log))


def _button(page: Page, verb: str, key: str) -> Html:
    if not page.host.info.may_install:
        return tag("p", page.texts("engine.refused"), class_="cl-quiet")
    return parts.button(page.texts(key), "engine", verb=verb, confirm=page.texts(f"{key}_sure"))


def _card(
    page: Page, title: str, state: str, says: str, told: tuple[str, ...], buttons: Html | None, log: str
) -> Html:
    word = _STATES[state]
    pill = tag("span", page.icon(word), page.texts(f"engine.{state}"), class_=f"cl-state cl-is-{word}")
    return tag(
        "div",
        tag("div", tag("strong", title), pill, class_="cl-row"),
        tag("span", says, class_="cl-quiet"),
        [tag("span", one, class_="cl-quiet") for one in told if one],
        tag("div", buttons, class_="cl-row") if buttons else None,
        folded(page.texts("engine.log"), tag("pre", log, class_="cl-log"), name=f"log-{title}")
        if log
        else None,
        class_="cl-card",
    )
