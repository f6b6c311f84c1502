"""What every panel has: its head, the choice of origin and edit, run buttons, progress, reasons, details."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from lib_copier.errors import CopierError
from lib_copier.host.hold import FREEING, RESTORING
from lib_copier.markup.html import Html, duration, element_id, join, tag
from lib_copier.markup.svg import Line, chart, smoothed
from lib_copier.recipe.model import Edit, Origin
from lib_copier.ui.form import folded, way_to
from lib_copier.ui.guide import guide_link
from lib_copier.ui.page import Page
from lib_copier.ui.phrases import Place
from lib_copier.ui.picture import figure, gallery
from lib_copier.ui.progress import Progress, last_lines
from lib_copier.ui.texts import Texts
from lib_copier.ui.view import PANELS

_SAMPLES_SHOWN = 6
_LONGEST_FAULT = 300


def told(texts: Texts, error: Exception) -> str:
    """What a person is told of an error; one that is not meant for people goes to the log whole."""
    if isinstance(error, CopierError):
        return texts.error(error)
    if isinstance(error, OSError):
        return str(error)
    logging.getLogger("copier_lora").error("a request failed", exc_info=error)
    return texts("fault", what=f"{type(error).__name__}: {error}"[:_LONGEST_FAULT])


def guarded(page: Page, draw: Callable[[Page], Html]) -> Html:
    """A part of the page; a fault in one of them must not take the others with it."""
    try:
        return draw(page)
    except Exception as error:
        return join(tag("p", told(page.texts, error), class_="cl-fault"), projects_link(page))


def to_missed(page: Page) -> Html:
    """The way to the first step that missed its goal."""
    place = page.opened.missed_place
    return way_to(place, page.texts(f"{place.panel}.title"), css="cl-button cl-primary")


def projects_link(page: Page) -> Html:
    """The way back to all projects, which every page offers."""
    return tag(
        "button", page.texts("bar.projects"), type="button", class_="cl-link", data_act="close_project"
    )


def head(page: Page, panel: str, step_ids: Sequence[str] = ()) -> Html:
    """Title, state, one sentence, and folded help."""
    texts = page.texts
    title = tag(
        "div", tag("h2", texts(f"{panel}.title")), page.pill(step_ids) if step_ids else None, class_="cl-head"
    )
    help_key = f"{panel}.help"
    help_text = tag("p", texts(help_key), class_="cl-lead") if texts.has(help_key) else ""
    return join(
        title,
        tag("p", texts(f"{panel}.lead"), class_="cl-lead"),
        folded(texts("help"), join(help_text, guide_link(texts)), name=f"help-{panel}"),
    )


def button(
    text: str,
    act: str = "",
    *,
    is_primary: bool = False,
    disabled: bool = False,
    id_: str | None = None,
    **data: object,
) -> Html:
    """A button that asks the server for an act; further arguments travel with it."""
    attributes = {f"data_{key}": str(value) for key, value in data.items() if value is not None}
    return tag(
        "button",
        text,
        type="button",
        id=id_,
        class_="cl-button cl-primary" if is_primary else "cl-button",
        data_act=act or None,
        disabled=disabled,
        **attributes,
    )


def origin_picker(page: Page, *, may_change: bool = False) -> Html:
    """Chips of the origins; nothing where there is only one and nothing to add."""
    return _picker(page, "origin", page.opened.recipe.origins, page.origin, may_change)


def edit_picker(page: Page, *, may_change: bool = False) -> Html:
    """Chips of the edits; nothing where there is only one and nothing to add."""
    return _picker(page, "edit", page.opened.recipe.edits, page.edit, may_change)


def _picker(
    page: Page, what: str, items: Sequence[Origin | Edit], shown: Origin | Edit | None, may_change: bool
) -> Html:
    if len(items) < 2 and not may_change:
        return Html("")
    chips = [_chip(page, one.name, what, is_shown=one is shown) for one in items]
    add = button("+ " + page.texts(f"{what}.add"), f"add_{what}") if may_change else None
    return tag("div", chips, add, class_="cl-chips", role="group", aria_label=page.texts(f"{what}.which"))


def _chip(page: Page, name: str, what: str, *, is_shown: bool) -> Html:
    pressed = "true" if is_shown else "false"
    return tag(
        "button", name, type="button", class_="cl-chip", aria_pressed=pressed, **{f"data_go_{what}": name}
    )


def run_buttons(page: Page, step_ids: Sequence[str], *, label: str = "", main: Html | None = None) -> Html:
    """Run or run again, stop, and the way to the next panel; `main` stands in place of the first two."""
    texts, panel = page.texts, page.view.panel
    made: list[Html] = []
    following = PANELS[PANELS.index(panel) + 1]
    state = page.state(step_ids)
    css = "cl-button cl-primary" if state == "done" else "cl-button"
    title = texts("next", title=texts(f"{following}.title"))
    go_on = None if following == "jobs" else way_to(Place(following), title, css=css)
    if not step_ids:
        return tag("div", go_on, class_="cl-actions")
    if page.opened.is_busy:
        made += [button(texts("run.busy"), disabled=True), gpu_note(page)]
    elif main is not None:
        made.append(main)
    elif state == "held":
        made.append(to_missed(page))
    elif state in {"done", "missed", "accepted"}:
        made.append(button(texts("run.again"), "rerun", confirm=texts("run.again_sure")))
    else:
        word = label or texts("run.this")
        made.append(button(word, "run", is_primary=True, id_=element_id("generate")))
    return tag("div", made, go_on, class_="cl-actions")


def gpu_note(page: Page) -> Html:
    """What a job waits for where the host has not freed its GPU yet, and what went wrong with that."""
    is_changing = page.hold.phase in {FREEING, RESTORING}
    problem = page.hold.problem
    return join(
        page.nothing(f"gpu.{page.hold.phase}") if is_changing else None,
        tag("p", page.texts("gpu.problem", problem=page.texts.said(problem)), class_="cl-warning")
        if problem
        else None,
    )


def reasons(page: Page, step_ids: Sequence[str]) -> Html:
    """Why steps will run, or what failed and what to do; what stands there already is not said again."""
    shown: list[Html] = []
    told: set[str] = set()
    for step_id in step_ids:
        status = page.opened.states.get(step_id)
        if status is None or status.state not in {"stale", "failed", "held"}:
            continue
        new = [reason for reason in status.reasons if reason not in told]
        if status.reasons and not new:
            continue
        told |= {*new, f"waits for {step_id}"}
        advice = str(page.opened.failure(step_id).get("advice") or "") if status.state == "failed" else ""
        said = page.texts("said.and").join(map(page.texts.said, new))
        css = "cl-fault" if status.state == "failed" else "cl-warning"
        word = page.texts(f"state.{status.state}")
        shown.append(
            tag(
                "p",
                tag("strong", f"{word}: "),
                said,
                tag("br") if advice else None,
                page.texts.said(advice),
                class_=css,
            )
        )
    return join(*shown)


def running(page: Page, step_ids: Sequence[str]) -> Html:
    """Progress of the steps among these that run now, with curve and pictures."""
    boxes = [
        progress_box(
            page,
            step_id,
            page.opened.progress(step_id),
            can_save=step_id.startswith(("copier", "edit_lora", "edited")),
        )
        for step_id in page.opened.running_steps
        if step_id in step_ids
    ]
    return join(*boxes)


def progress_box(page: Page, step_id: str, found: Progress, *, can_save: bool) -> Html:
    """A bar, what is left, the loss curve, sample pictures, and the stop buttons."""
    texts = page.texts
    words = [tag("strong", texts("run.running", step=texts.step(step_id)))]
    if found.total:
        words.append(tag("span", texts("run.count", step=found.step, total=found.total)))
    if found.eta is not None:
        words.append(tag("span", texts("run.eta", time=duration(found.eta)), class_="cl-quiet"))
    if found.seconds_per_step is not None:
        words.append(
            tag("span", texts("run.pace", seconds=f"{found.seconds_per_step:.2f}"), class_="cl-quiet")
        )
    bar = tag("progress", max=1, value=f"{found.share:.4f}") if found.total else tag("progress")
    asked = page.opened.stopping
    stops = [button(texts("run.stop"), "stop", how="discard")] if asked != "discard" else []
    if asked:
        stops.insert(0, tag("span", texts(f"run.stopping_{asked}")))
    elif can_save:
        stops.insert(0, button(texts("run.stop_save"), "stop", how="save"))
    return tag(
        "section",
        tag("div", words, class_="cl-row"),
        bar,
        loss_curve(page, found),
        _samples(page, found),
        tag("p", texts.said(found.last_text), class_="cl-quiet") if found.last_text else None,
        tag("div", stops, class_="cl-row"),
        class_="cl-progress",
        aria_label=texts("run.running", step=texts.step(step_id)),
    )


def loss_curve(page: Page, found: Progress) -> Html:
    """The loss over the training steps: every value faint, a running mean on top."""
    if len(found.loss) < 3:
        return Html("")
    lines = [Line("cl-faint", found.loss), Line("cl-mean", smoothed(found.loss))]
    return tag(
        "div",
        tag("span", page.texts("run.loss"), class_="cl-quiet"),
        chart(lines, label=page.texts("run.loss")),
    )


def _samples(page: Page, found: Progress) -> Html:
    shown = []
    for step, path in found.samples[-_SAMPLES_SHOWN:]:
        inside = page.opened.inside(path)
        if inside is not None and inside.is_file():
            shown.append(figure(page.url(inside), page.texts("run.sample", step=step)))
    return gallery(shown) if shown else Html("")


def lines(text: str, *, css: str = "cl-log") -> Html:
    """Lines of a program; where they scroll, the keyboard scrolls them too."""
    return tag("pre", text, class_=css, tabindex=0)


def details(page: Page, step_ids: Sequence[str]) -> Html:
    """For those who want to know: time, command line, log."""
    shown: list[Html] = []
    for step_id in step_ids:
        facts = page.opened.made(step_id)
        log = last_lines(page.opened.step_log(step_id))
        if not facts and not log:
            continue
        shown.append(tag("h3", page.texts.step(step_id)))
        if facts:
            said = "run.took_on" if facts.device else "run.took"
            told = page.texts(said, time=duration(facts.seconds), device=facts.device)
            shown.append(tag("p", told, class_="cl-quiet"))
        if facts and facts.command:
            shown.append(_commands(page, step_id, facts.command))
        if log:
            shown.append(lines(log))
    return (
        folded(page.texts("run.details"), join(*shown), name=f"details-{page.view.panel}")
        if shown
        else Html("")
    )


def _commands(page: Page, step_id: str, as_it_ran: str) -> Html:
    """The line that made a step, and one that does it again by hand once its files are laid out."""
    texts, by_hand = page.texts, page.opened.by_hand(step_id)
    shown = [
        lines(as_it_ran, css="cl-command"),
        button(texts("run.by_hand"), "by_hand", step=step_id),
    ]
    if by_hand:
        copied = tag("button", texts("copy"), type="button", class_="cl-link", data_copy=by_hand)
        lead = tag("p", texts("run.by_hand_lead"), class_="cl-quiet")
        shown += [lead, lines(by_hand, css="cl-command"), copied]
    return tag("div", *shown)
