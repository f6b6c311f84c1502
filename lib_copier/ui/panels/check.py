"""The copier check: what the copier model prints from prompts and seeds it never saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_copier.markup.html import Html, join, tag
from lib_copier.settings.goals import number
from lib_copier.ui import parts
from lib_copier.ui.page import Page
from lib_copier.ui.picture import figure, gallery
from lib_copier.ui.remedies import ways_on


def render(page: Page) -> Html:
    """Score against the goal, the ways on where it is missed, and the proof sheet."""
    steps = page.steps_of_panel("check", shown_only=True)
    report = page.opened.report(steps[0]) if steps else {}
    is_off = not page.opened.recipe.get("check.enabled")
    return join(
        parts.head(page, "check", steps),
        parts.origin_picker(page),
        parts.reasons(page, steps),
        parts.running(page, steps),
        _score(page, steps, report) if report else page.nothing("check.off" if is_off else "check.none"),
        _sheet(page, steps[0], report) if report else None,
        page.block("settings", page.fields("check"), page.folded_fields("check")),
        parts.details(page, steps),
        parts.run_buttons(page, steps, label=page.texts("check.run")),
    )


def _score(page: Page, steps: list[str], report: Mapping[str, Any]) -> Html:
    psnr, ssim = report.get("psnr_db") or {}, report.get("ssim") or {}
    lacks = [page.texts.said(lack) for step in steps for lack in page.opened.lacks(step)]
    rows = []
    for key, text in (("min", "check.lowest"), ("median", "check.median"), ("ceiling", "check.ceiling")):
        if (found := number(psnr.get(key))) is not None:
            judged = ("poor" if lacks else "good") if key == "min" else ""
            rows.append((text, f"{found:.1f} dB", judged))
    if (found := number(ssim.get("median"))) is not None:
        rows.append(("check.ssim", f"{found:.3f}", ""))
    said, missed = page.texts("said.and").join(lacks), page.texts("state.missed")
    told = tag("p", tag("strong", f"{missed}: "), said, class_="cl-warning") if lacks else None
    if all(page.opened.states[step].is_made for step in steps):
        told = ways_on(page, steps) if lacks else tag("p", page.texts("check.good"))
    return page.block("result", page.facts(rows), told)


def _sheet(page: Page, step_id: str, report: Mapping[str, Any]) -> Html:
    shown = []
    for key in ("origin", "round_trip"):
        path = page.opened.file(step_id, str(report.get(key, "")))
        if path is not None:
            shown.append(figure(page.url(path), page.texts(f"check.{key}")))
    for entry in report.get("pictures") or []:
        path = page.opened.file(step_id, str(entry.get("path", "")))
        if path is not None:
            psnr = entry.get("psnr_db")
            told = f"{psnr:.1f} dB · " if isinstance(psnr, (int, float)) else ""
            shown.append(figure(page.url(path), f"{told}{entry.get('prompt', '')}"))
    return page.block("check.sheet", gallery(shown)) if shown else Html("")
