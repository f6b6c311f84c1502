"""The bar on top and the rail at the left: which project, which steps, how each stands."""

from __future__ import annotations

from collections.abc import Sequence

from lib_copier.errors import GoalError
from lib_copier.graph.status import StepStatus
from lib_copier.markup.html import Html, join, tag
from lib_copier.ui import parts
from lib_copier.ui.form import way_to
from lib_copier.ui.page import Page
from lib_copier.ui.view import NOT_IN, PANELS, WITHOUT_PROJECT


def bar(page: Page) -> Html:
    """The product's name, the open project, and the one button that does all that is left."""
    texts = page.texts
    title = tag("h1", "Copier LoRA", class_="cl-title")
    if page.desk is None:
        return join(title, _warning(page))
    chips = [tag("span", page.opened.project.name, class_="cl-quiet")]
    told: Html | None
    if page.opened.is_busy:
        asked = page.opened.stopping
        work = parts.button(texts("run.stop"), "stop", how="discard", disabled=asked == "discard")
        is_left = page.opened.job is not None and page.workshop.queue.is_left(page.opened.job)
        if is_left:
            work = join(parts.button(texts("run.resume"), "resume_jobs", is_primary=True), work)
        doing = (
            texts("job.left_says") if is_left else texts(f"run.stopping_{asked}") if asked else _doing(page)
        )
        told = tag("span", doing, class_="cl-quiet", role="status")
    elif page.is_host_at_work:
        work = parts.button(texts("run.stop"), "interrupt")
        told = tag("span", texts("origin.webui_busy"), class_="cl-quiet", role="status")
    else:
        work, told = _work(page)
    spring = tag("span", class_="cl-spring")
    return join(title, chips, parts.projects_link(page), spring, _reading(page), told, work, _warning(page))


def _reading(page: Page) -> list[Html]:
    """Large files that have to be read before the steps that use them can be told apart."""
    return [
        tag(
            "span",
            page.texts("reading", name=path.name, share=f"{share:.0%}"),
            class_="cl-quiet",
            role="status",
        )
        for path, share in page.workshop.readings.under_way().items()
    ]


def _work(page: Page) -> tuple[Html, Html | None]:
    """The button for what is left, and what has to be known before it is pressed."""
    texts, opened = page.texts, page.opened
    if opened.faults:
        first = way_to(opened.places[0], texts("project.incomplete"), css="cl-button cl-primary")
        return first, None
    left = [one for one in opened.states.values() if not one.is_made and one.state != "held"]
    if left:
        return parts.button(texts("run.all", count=len(left)), "run_all", is_primary=True), _before(
            page, left
        )
    if opened.missed is not None:
        return parts.to_missed(page), tag(
            "span", _lacks(page, opened.missed), class_="cl-fault", role="status"
        )
    return parts.button(texts("run.all_done"), "run_all", disabled=True), None


def _lacks(page: Page, missed: StepStatus) -> str:
    """Which step missed its goal, and by what."""
    lacks = page.texts("said.and").join(map(page.texts.said, missed.shortfalls))
    return f"{page.texts.step(missed.id)}: {lacks}"


def _before(page: Page, left: Sequence[StepStatus]) -> Html | None:
    """Why the last run ended, where no step says so; else that what is left goes out of the project."""
    job, folder = page.opened.job, str(page.opened.recipe.get("publish.folder") or "")
    is_told = (
        job is not None
        and job.returncode == GoalError.exit_code
        or any(status.state == "failed" for status in left)
    )
    if job is not None and job.state == "failed" and not is_told:
        return tag("span", page.texts.said(job.message), class_="cl-fault")
    if folder and any(status.step.kind == "publish" for status in left):
        return tag("span", page.texts("run.publishes"), class_="cl-quiet", title=folder)
    return None


def _doing(page: Page) -> str:
    said = []
    for step in page.opened.running_steps:
        found = page.opened.progress(step)
        said.append(
            page.texts("run.running", step=page.texts.step(step))
            + (f" {found.share:.0%}" if found.total else "")
        )
    return "; ".join(said) or page.texts("run.waiting")


def _warning(page: Page) -> Html | None:
    """What keeps pictures from being shown, where the host cannot serve them."""
    if page.host.info.serves_files:
        return None
    return tag("p", page.texts("bar.dot_folder"), class_="cl-warning")


def rail(page: Page) -> Html:
    """Every panel with its state as an icon and in words; arrow keys move between them."""
    method = page.opened.recipe.method if page.desk is not None else ""
    left_out = {"jobs"} | NOT_IN.get(method, frozenset())
    shown = [name for name in PANELS if name not in left_out]
    steps = [tag("li", _item(page, name, number)) for number, name in enumerate(shown, start=1)]
    end = tag("ol", tag("li", _item(page, "jobs", 0)), class_="cl-rail-end")
    return tag("div", tag("ol", steps), end, class_="cl-rail")


def _item(page: Page, panel: str, number: int) -> Html:
    steps = page.steps_of_panel(panel)
    state, note = _state(page, panel, steps)
    is_current = page.view.panel == panel
    is_closed = page.desk is None and panel not in WITHOUT_PROJECT
    return tag(
        "button",
        page.icon(state, str(number) if number else "≡"),
        tag("span", page.texts(f"{panel}.title"), class_="cl-name"),
        tag("span", note, class_="cl-note"),
        type="button",
        class_=f"cl-step cl-is-{state}",
        data_go_panel=panel,
        aria_current="step" if is_current else None,
        disabled=is_closed,
    )


def _state(page: Page, panel: str, steps: list[str]) -> tuple[str, str]:
    texts = page.texts
    if panel == "jobs":
        jobs = [job for job in page.workshop.queue.jobs() if job.is_open]
        if any(map(page.workshop.queue.is_left, jobs)):
            return "stale", texts("job.left")
        return ("running", texts("jobs.open", count=len(jobs))) if jobs else ("missing", texts("jobs.idle"))
    if page.desk is None:
        return "missing", texts("state.none") if panel == "project" else ""
    if panel == "project":
        if page.opened.faults and not page.is_host_at_work:
            return "stale", texts("project.incomplete")
        return (
            ("done", page.opened.project.name)
            if page.state(steps) in {"done", "missing"}
            else (page.state(steps), "")
        )
    state = page.state(steps)
    if not steps:
        return "missing", texts("state.none")
    if state == "running":
        step = next((step for step in steps if step in page.opened.running_steps), None)
        come = page.opened.progress(step) if step is not None else page.host.progress()
        return state, f"{texts('state.running')} {come.share:.0%}" if come else texts("state.running")
    if state == "stale":
        first = next(page.opened.states[step] for step in steps if page.opened.states[step].state == "stale")
        said = page.texts.said(first.reasons[0]) if first.reasons else ""
        return state, f"{texts('state.stale')}: {said}" if said else texts("state.stale")
    if state in {"missed", "accepted"}:
        lacks = next(filter(None, (page.opened.states[step].shortfalls for step in steps)))
        return state, f"{texts(f'state.{state}')}: {texts.said(lacks[0])}"
    if state == "partly":
        done = sum(page.opened.states[step].is_made for step in steps)
        return state, texts("state.partly_count", done=done, count=len(steps))
    return state, texts(f"state.{state}")
