"""Merging several pairs, the difference, and the lower rank: from edit LoRAs to one small file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lib_copier.markup.html import Html, join, tag
from lib_copier.markup.svg import Line, chart
from lib_copier.settings.goals import number
from lib_copier.ui import parts
from lib_copier.ui.page import Page


def render(page: Page) -> Html:
    """The steps between the edit LoRA and the finished file, with the energy that each rank keeps."""
    steps = page.steps_of_panel("combine", shown_only=True)
    is_difference = page.opened.recipe.method == "difference"
    return join(
        parts.head(page, "combine", steps),
        parts.edit_picker(page),
        parts.reasons(page, steps),
        parts.running(page, steps),
        page.block(
            "result",
            _steps(page, steps),
            *(_energy(page, page.opened.result(step)) for step in steps),
            *(_calibration(page, page.opened.result(step)) for step in steps),
        ),
        page.block("combine.sign", _sign(page), page.fields("difference")) if is_difference else None,
        page.block("combine.resize", page.fields("resize"), page.folded_fields("resize")),
        None if is_difference else page.block("combine.difference", page.fields("difference", advanced=True)),
        page.block("combine.gain", page.fields("calibrate"), page.folded_fields("calibrate")),
        page.block("combine.merge", page.fields("merge", advanced=True))
        if len(page.opened.recipe.origins) > 1
        else None,
        parts.details(page, steps),
        parts.run_buttons(page, steps, label=page.texts("combine.run")),
    )


def _sign(page: Page) -> Html:
    chosen = str(page.opened.recipe.get("difference.sign"))
    return tag("p", page.texts(f"combine.sign.{chosen}"), class_="cl-lead")


def _steps(page: Page, steps: Sequence[str]) -> Html:
    """Each step with its state and what it did, or why it had nothing to do."""
    rows = []
    for step_id in steps:
        status = page.opened.states[step_id]
        said = page.texts("said.and").join(map(page.texts.said, status.reasons))
        note = said if status.state == "done" else ""
        size = page.opened.file(step_id, "lora.safetensors")
        told = f"{size.stat().st_size / 1e6:.1f} MB" if size is not None and size.is_file() else ""
        kind = step_id.partition("/")[0]
        amount = tag("span", told, class_="cl-amount")
        cells = (page.texts(f"combine.{kind}"), page.pill([step_id]), amount, note)
        rows.append(tag("tr", [tag("td", cell) for cell in cells]))
    return tag("div", tag("table", rows, class_="cl-table"), class_="cl-sheet") if rows else Html("")


def _calibration(page: Page, result: Mapping[str, Any]) -> Html:
    """The gain that was found, what weight 1 gives with it, and what kept it from the whole edit."""
    gain, strength, leak = (number(result.get(name)) for name in ("gain", "strength", "leak"))
    if gain is None or strength is None or leak is None:
        return Html("")
    rows = [
        ("combine.gain_found", f"{gain:.2f} ×", ""),
        ("preview.strength", f"{strength:.2f} ×", "poor" if result.get("bound") else "good"),
        ("preview.leak", f"{leak:.2f}", ""),
    ]
    bound = str(result.get("bound") or "")
    told = tag("p", page.texts("combine.bound", bound=page.texts.said(bound)), class_="cl-warning")
    return join(page.facts(rows), told if bound else None)


def _energy(page: Page, result: Mapping[str, Any]) -> Html:
    """How much of the LoRA each rank keeps, where the step reported it."""
    found, ranks = result.get("energy_by_rank"), result.get("ranks")
    if not isinstance(found, Mapping) or len(found) < 2:
        return Html("")
    points = [(float(rank), float(share) * 100) for rank, share in found.items()]
    highest = max((int(rank) for rank in ranks), default=0) if isinstance(ranks, Mapping) else 0
    marks = [(float(highest), page.texts("combine.rank", rank=highest))] if highest else []
    return join(
        tag("span", page.texts("combine.energy"), class_="cl-quiet"),
        chart([Line("cl-mean", points)], label=page.texts("combine.energy"), marks=marks),
    )
