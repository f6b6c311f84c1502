"""The copier check: what the copier model prints from prompts and seeds it never saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_copier.html import Html, join, tag
from lib_copier.ui import parts
from lib_copier.ui.page import Page
from lib_copier.ui.picture import figure, gallery
from lib_copier.ui.verdict import copier_verdict, median_db


def render(page: Page) -> Html:
    """Score with a verdict in words, the proof sheet, and the way back to more training."""
    steps = page.steps_of_panel("check", shown_only=True)
    report = page.opened.report(steps[0]) if steps else {}
    return join(
        parts.head(page, "check", steps),
        parts.origin_picker(page),
        parts.reasons(page, steps),
        parts.running(page, steps),
        _score(page, report) if report else page.nothing("check.none"),
        _sheet(page, steps[0], report) if report else None,
        page.block("settings", page.fields("check"), page.folded_fields("check")),
        parts.details(page, steps),
        parts.run_buttons(page, steps, label=page.texts("check.run")),
    )


def _score(page: Page, report: Mapping[str, Any]) -> Html:
    psnr, ssim = report.get("psnr_db") or {}, report.get("ssim") or {}
    median = median_db(report)
    if median is None:
        return Html("")
    verdict = copier_verdict(median)
    rows = [("check.median", f"{median:.1f} dB", "good" if verdict == "good" else "poor")]
    for key, text in (("min", "check.lowest"), ("ceiling", "check.ceiling")):
        if isinstance(psnr.get(key), (int, float)):
            rows.append((text, f"{psnr[key]:.1f} dB", ""))
    if isinstance(ssim.get("median"), (int, float)):
        rows.append(("check.ssim", f"{ssim['median']:.3f}", ""))
    more = None
    if verdict != "good" and page.origin is not None and not page.opened.is_busy:
        more = parts.button(page.texts("check.more"), "train_longer", origin=page.origin.name)
    said = tag("p", page.texts(f"check.{verdict}"), class_="" if verdict == "good" else "cl-warning")
    return page.block("result", page.facts(rows), said, tag("div", more, class_="cl-row") if more else None)


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
