"""The queue: what waits and runs, for all projects, and what became of the last jobs."""

from __future__ import annotations

import time

from lib_copier.errors import GoalError
from lib_copier.graph.queue import Job
from lib_copier.markup.html import Html, duration, join, tag
from lib_copier.ui import parts
from lib_copier.ui.form import folded
from lib_copier.ui.page import Page
from lib_copier.ui.progress import last_lines

_STATES = {
    "queued": "missing",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "cancelled": "stale",
}
_SHOWN = 20


def render(page: Page) -> Html:
    """A row a job, the newest first."""
    jobs = list(reversed(page.workshop.queue.jobs()))[:_SHOWN]
    rows = [_row(page, job) for job in jobs]
    table = (
        tag("div", tag("table", rows, class_="cl-table cl-jobs"), class_="cl-sheet")
        if rows
        else page.nothing("jobs.none")
    )
    under_way = parts.running(page, page.desk.running_steps) if page.desk is not None else None
    return join(parts.head(page, "jobs"), parts.gpu_note(page), under_way, table)


def _row(page: Page, job: Job) -> Html:
    is_missed = job.returncode == GoalError.exit_code
    is_left = page.workshop.queue.is_left(job)
    state = "missed" if is_missed else "stale" if is_left else _STATES.get(job.state, "missing")
    word = page.texts("state.missed" if is_missed else "job.left" if is_left else f"job.{job.state}")
    pill = tag("span", page.icon(state), word, class_=f"cl-state cl-is-{state}")
    took = ""
    if job.started_at is not None and not is_left:
        took = duration((job.ended_at or time.time()) - job.started_at)
    resume = parts.button(page.texts("run.resume"), "resume_jobs") if is_left else None
    cancel = parts.button(page.texts("run.stop"), "cancel_job", job=job.id) if job.is_open else None
    log = last_lines(page.workshop.queue.log(job.id))
    told = join(
        tag("span", page.texts("job.left_says"), class_="cl-quiet") if is_left else None,
        tag("span", page.texts.said(job.message), class_="cl-quiet") if job.message else None,
        folded(page.texts("run.log"), parts.lines(log), name=f"log-{job.id}") if log else None,
    )
    cells = (
        tag("strong", job.title),
        pill,
        tag("span", took, class_="cl-amount"),
        told,
        join(resume, cancel),
    )
    return tag("tr", [tag("td", cell) for cell in cells], data_keep=job.id)
