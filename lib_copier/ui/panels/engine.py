"""The cards of the two engines: where each stands, a button to set it up, its log."""

from __future__ import annotations

import platform
from pathlib import Path

from lib_copier.engines.state import MAKING, READY, engine_state, own_places
from lib_copier.environment.make import downloads
from lib_copier.environment.pip import cause_of
from lib_copier.environment.stamp import minor
from lib_copier.graph.queue import FAILED, Job
from lib_copier.markup.html import Html, join, tag
from lib_copier.ui import built_in, parts
from lib_copier.ui.form import folded
from lib_copier.ui.page import Page
from lib_copier.ui.progress import last_lines

_STATES = {"missing": "missing", "making": "running", "ready": "done", "broken": "failed", "failed": "failed"}


def engine_cards(page: Page) -> Html:
    """The built-in engine and sd-scripts, side by side."""
    return tag("div", _built_in(page), _sd_scripts(page), class_="cl-cards")


def setup_reminder(page: Page) -> Html:
    """What has to be done once before anything can run; nothing where it is done."""
    if built_in.is_ready():
        return Html("")
    return tag("div", tag("strong", page.texts("engine.first")), _built_in(page), class_="cl-warning")


def _built_in(page: Page) -> Html:
    title, says = page.texts("engine.built_in"), page.texts("engine.built_in_says")
    job = page.workshop.queue.find("built-in")
    is_making = job is not None and job.is_open
    if built_in.is_ready() and not is_making:
        return _card(page, title, "ready", says)
    if job is None or job.state != FAILED:
        log = page.workshop.queue.log(job.id) if job is not None else None
        state, offer = ("making", None) if is_making else ("missing", _set_up(page))
        return _card(page, title, state, says, _needs(page), offer, log)
    log = built_in.environment_wanted().log
    return _card(
        page,
        title,
        "failed",
        says,
        join(_failure(page, job, log), _needs(page)),
        _set_up(page, is_first=False),
        log,
    )


def _needs(page: Page) -> Html:
    """What the environment takes and where it lies, told before it is made."""
    folder, torch = built_in.environment_wanted().folder, built_in.borrowed_torch()
    size, free = built_in.gigabytes_needed(), f"{built_in.gigabytes_free(folder):.0f}"
    where = page.texts("engine.needs", size=size, folder=str(folder), free=free)
    borrows = tag("span", page.texts("engine.borrows", version=torch), class_="cl-quiet") if torch else None
    return join(tag("span", where, class_="cl-quiet"), borrows)


def _failure(page: Page, job: Job, log: Path) -> Html:
    """Why the last set-up did not end well, and what can be done about it here."""
    cause = cause_of(last_lines(log).rpartition("\n$ ")[2].splitlines())
    text = (
        page.texts(f"engine.failed_{cause}")
        if cause
        else page.texts("engine.failed_otherwise", what=page.texts.said(job.message))
    )
    return tag("p", text, class_="cl-fault")


def _set_up(page: Page, *, is_first: bool = True) -> Html:
    """The button, and the choices that a machine without network or with an odd Python needs."""
    if not page.host.info.may_install or not page.host.info.may_choose_paths:
        return _button(page, "set_up", "engine.set_up")
    button = _button(page, "set_up", "engine.set_up" if is_first else "engine.again")
    if is_first:
        return tag(
            "div",
            button,
            folded(page.texts("engine.ways"), _ways(page), name="ways"),
            class_="cl-block",
            data_form="set-up",
        )
    return tag("div", _ways(page), button, class_="cl-block", data_form="set-up")


def _ways(page: Page) -> Html:
    this = minor(platform.python_version())
    options = [tag("option", page.texts("engine.python_this", version=this), value="")]
    options += [
        tag("option", f"Python {one.version} ({one.python})", value=str(one.python))
        for one in built_in.other_pythons()
    ]
    lines = "\n".join(downloads(built_in.environment_wanted()))
    return join(
        _wheels(page),
        tag("p", page.texts("engine.download", version=this), class_="cl-help"),
        parts.lines(lines),
        tag("p", page.texts("engine.elsewhere"), class_="cl-help"),
        tag(
            "label",
            tag("span", page.texts("engine.python"), class_="cl-label"),
            tag("select", options, name="python"),
            class_="cl-field",
        ),
    )


def _wheels(page: Page) -> Html:
    box = tag("input", type="text", name="wheels", value="", spellcheck="false")
    return tag(
        "label", tag("span", page.texts("engine.wheels"), class_="cl-label"), box, class_="cl-field cl-wide"
    )


def _sd_scripts(page: Page) -> Html:
    places = own_places()
    found = engine_state(places)
    job: Job | None = page.workshop.queue.find("engine")
    state = "making" if job is not None and job.is_open else found.state
    told = (*(() if found.state == READY else (found.why,)), *found.notes)
    offer: Html | None = None
    if state == READY:
        offer = _button(page, "remove", "engine.remove")
    elif state != MAKING:
        offer = _button(page, "install", "engine.install")
        if page.host.info.may_install and page.host.info.may_choose_paths:
            offer = tag(
                "div",
                offer,
                folded(page.texts("engine.offline"), _wheels(page), name="ways-sd"),
                class_="cl-block",
                data_form="engine",
            )
    facts = join(*(tag("span", page.texts.said(one), class_="cl-quiet") for one in told if one))
    return _card(page, "sd-scripts", state, page.texts("engine.says"), facts, offer, places.log)


def _button(page: Page, verb: str, key: str) -> Html:
    if not page.host.info.may_install:
        return tag("p", page.texts("engine.refused"), class_="cl-quiet")
    sure = page.texts("engine.set_up_sure" if verb == "set_up" else f"{key}_sure")
    return parts.button(page.texts(key), "engine", verb=verb, confirm=sure)


def _card(
    page: Page,
    title: str,
    state: str,
    says: str,
    told: Html | str = "",
    offer: Html | None = None,
    log: Path | None = None,
) -> Html:
    word, lines = _STATES[state], last_lines(log) if log else ""
    pill = tag("span", page.icon(word), page.texts(f"engine.{state}"), class_=f"cl-state cl-is-{word}")
    file = tag("p", page.texts("engine.log_file"), " ", tag("code", str(log)), class_="cl-quiet")
    return tag(
        "div",
        tag("div", tag("strong", title), pill, class_="cl-row"),
        tag("span", says, class_="cl-quiet"),
        told,
        offer,
        folded(page.texts("engine.log"), join(file, parts.lines(lines)), name=f"log-{title}")
        if lines
        else None,
        class_="cl-card",
    )
