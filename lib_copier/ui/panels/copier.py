"""The copier panel: overfit a LoRA on the origin until it prints nothing else."""

from __future__ import annotations

from lib_copier.markup.html import Html, duration, join
from lib_copier.ui import parts
from lib_copier.ui.form import folded
from lib_copier.ui.page import Page
from lib_copier.ui.picture import figure, gallery


def render(page: Page) -> Html:
    """Origin, settings, progress with loss curve and samples."""
    steps = page.steps_of_panel("copier", shown_only=True)
    training = [step for step in steps if step.startswith("copier/")]
    return join(
        parts.head(page, "copier", steps),
        parts.origin_picker(page),
        parts.reasons(page, steps),
        parts.running(page, steps),
        _result(page, training),
        page.block("settings", page.fields("copier"), page.folded_fields("copier"), _model(page)),
        parts.details(page, steps),
        parts.run_buttons(page, steps, label=page.texts("copier.run")),
    )  # fmt: skip


def _model(page: Page) -> Html:
    """The copier model's settings, which hardly anybody needs."""
    return folded(page.texts("copier.model"), page.fields("copier_model", advanced=True), name="copier-model")


def _result(page: Page, steps: list[str]) -> Html:
    return trained(page, steps[0]) if steps else Html("")


def trained(page: Page, step_id: str) -> Html:
    """What a finished training shows: its numbers, curve and samples; before it, one that was stopped."""
    made, stopped_at = page.opened.made(step_id), _stopped(page, step_id)
    if made is None:
        return stopped_at
    told = page.opened.result(step_id)
    rows = [("fact.time", duration(made.seconds), "")]
    if isinstance(told.get("steps"), int):
        rows.append(("fact.steps", str(told["steps"]), ""))
    if isinstance(told.get("learning_rate"), float):
        rows.append(("fact.rate", f"{told['learning_rate']:g}", ""))
    if isinstance(told.get("score_db"), float):
        state = "" if told.get("is_reached") else "poor"
        rows.append(("fact.goal", f"{told['score_db']:.1f} / {told['goal_db']:.1f} dB", state))
    result = page.block(
        "result",
        page.facts(rows),
        parts.loss_curve(page, page.opened.progress_of_made(step_id)),
        _samples(page, step_id),
    )
    return join(stopped_at, result)


def _stopped(page: Page, step_id: str) -> Html:
    """How far the last run came, where it ended before its end: its own numbers, beside no other run's."""
    found = page.opened.unfinished(step_id)
    if found is None or not found.total:
        return Html("")
    rows = [("fact.steps", page.texts("run.count", step=found.step, total=found.total), "poor")]
    if found.loss:
        rows.append(("run.loss", f"{found.loss[-1][1]:.4g}", ""))
    return page.block("run.stopped", page.facts(rows), parts.loss_curve(page, found))


def _samples(page: Page, step_id: str) -> Html:
    artifact = page.opened.artifact(step_id)
    if artifact is None:
        return Html("")
    found = sorted((artifact.folder / "samples").glob("*.png"))[-8:]
    return gallery([figure(page.url(path), path.stem) for path in found]) if found else Html("")
