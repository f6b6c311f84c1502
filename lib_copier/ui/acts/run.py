"""Running steps, stopping them, and what follows a publication."""

from __future__ import annotations

from collections.abc import Iterator

from lib_copier.errors import InputError
from lib_copier.graph.queue import QUEUED
from lib_copier.settings.training import can_go_on
from lib_copier.steps.remedies import ACCEPT, LONGER, remedies
from lib_copier.ui import built_in
from lib_copier.ui.acts.act import Outcome, require_project
from lib_copier.ui.page import Page
from lib_copier.ui.request import Details, text_of


def run(page: Page, details: Details) -> Outcome:
    """Do the shown steps of the panel, and before them whatever they still need."""
    require_project(page)
    return _start(page, until=_steps(page))


def rerun(page: Page, details: Details) -> Outcome:
    """Do the shown steps of the panel again although they are done."""
    require_project(page)
    steps = _steps(page)
    return _start(page, until=steps, force=steps)


def run_all(page: Page, details: Details) -> Outcome:
    """Do everything that is left."""
    require_project(page)
    return _start(page)


def stop(page: Page, details: Details) -> Outcome:
    """Stop what runs; ``save`` lets the training write its LoRA first."""
    require_project(page)
    how = "save" if details.get("how") == "save" else "discard"
    job = page.opened.job
    if job is not None and job.state == QUEUED and not page.opened.running_steps:
        return cancel_job(page, {"job": job.id})
    if job is not None and job.is_open and (how == "discard" or not page.opened.running_steps):
        page.workshop.queue.cancel(job.id, how)
    else:
        page.opened.project.cancel(how)
    return Outcome(page.texts(f"run.stopping_{how}"))


def by_hand(page: Page, details: Details) -> Outcome:
    """Lay out a step's command, so that the line on the page runs in a shell."""
    require_project(page)
    page.opened.project.lay_out(text_of(details, "step", longest=200))
    return Outcome(page.texts("said.laid_out"))


def cancel_job(page: Page, details: Details) -> Outcome:
    """Take a job out of the queue, or stop it."""
    job_id, queue = text_of(details, "job"), page.workshop.queue
    queue.cancel(job_id)
    job = queue.job(job_id)
    if job is None:
        return Outcome()
    said = "said.unqueued" if job.state == QUEUED else "said.stopping"
    return Outcome(page.texts(said, title=job.title))


def resume_jobs(page: Page, details: Details) -> Outcome:
    """Go on with what a worker left that ended before its jobs."""
    queue = page.workshop.queue
    if queue.needs_gpu() and not built_in.is_ready():
        return Outcome(page.texts("cause.engine"), is_error=True, cause="engine")
    queue.resume()
    return Outcome(page.texts("said.resumed"))


def go_on(page: Page, details: Details) -> Outcome:
    """Take one of the ways on from a step that missed its goal, and run as far as that step again, or all."""
    require_project(page)
    if refused := _refused(page):
        return refused
    step_id, way = text_of(details, "step", longest=200), text_of(details, "way")
    status, recipe = page.opened.states.get(step_id), page.opened.recipe
    offered = remedies(recipe, status) if status is not None and status.state == "missed" else ()
    chosen = next((one for one in offered if one.kind == way and one.values), None)
    if chosen is None:
        raise InputError(f"There is nothing to go on from at {step_id}.", "Reload the page and look again.")
    page.opened.project.set(chosen.values)
    _start(page, until=() if way == ACCEPT else (step_id,))
    steps = chosen.values.get("copier.steps")
    if way == LONGER and steps:
        goes_on = can_go_on(str(recipe.get("copier.lr_scheduler")))
        return Outcome(page.texts("said.longer" if goes_on else "said.longer_anew", steps=steps))
    return Outcome(page.texts("said.accepted" if way == ACCEPT else "said.changed"))


def refresh_loras(page: Page, details: Details) -> Outcome:
    """Let the host list its LoRAs anew."""
    require_project(page)
    is_done = page.host.refresh_loras()
    return Outcome(page.texts("said.refreshed" if is_done else "said.not_refreshed"), is_error=not is_done)


def _steps(page: Page) -> tuple[str, ...]:
    found = tuple(page.steps_of_panel(page.view.panel, shown_only=True))
    if not found:
        raise InputError("There is nothing to run on this panel yet.", "See what the project panel asks for.")
    return found


def causes(page: Page) -> Iterator[tuple[str, str]]:
    """What keeps the opened project from being run now, each by a name, in words."""
    if not built_in.is_ready():
        yield "engine", page.texts("cause.engine")
    if page.opened.faults:
        faults = page.texts("said.and").join(map(page.texts.said, page.opened.faults))
        yield "faults", page.texts("said.faults", faults=f"{page.texts('project.faults')} {faults}")


def _refused(page: Page) -> Outcome | None:
    """What is said instead of running; None where nothing stands in the way."""
    name, text = next(causes(page), ("", ""))
    if name != "faults":
        return Outcome(text, is_error=True, cause=name) if name else None
    place = page.opened.places[0]
    view = page.view.at(**{key: value for key, value in place.view().items() if value})
    return Outcome(text, is_error=True, cause=name, view=view, field=place.key)


def _start(page: Page, *, until: tuple[str, ...] = (), force: tuple[str, ...] = ()) -> Outcome:
    """Queue the work; a recipe that cannot be run says so now, with everything that is missing."""
    if refused := _refused(page):
        return refused
    page.workshop.run(page.opened, until=until, force=force)
    return Outcome()
