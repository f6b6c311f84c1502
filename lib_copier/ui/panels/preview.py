"""The preview: the slider itself, over pictures made beforehand at every weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_copier.markup.html import Html, join, tag
from lib_copier.markup.svg import Line, chart
from lib_copier.recipe.model import Origin
from lib_copier.settings.goals import SliderGoal, number
from lib_copier.steps.parts import judged_size
from lib_copier.steps.publish import published_name
from lib_copier.txt2img.infotext import write_infotext
from lib_copier.txt2img.pictures import PictureRequest
from lib_copier.ui import parts
from lib_copier.ui.form import folded
from lib_copier.ui.page import Page
from lib_copier.ui.panels.trial import trial
from lib_copier.ui.picture import Strip, scrub
from lib_copier.ui.remedies import ways_on

_STRIPS_SHOWN = 8
_SENT = ("negative_prompt", "steps", "cfg_scale", "clip_skip", "sampler")
"""Settings of a preview that are told to txt2img as well."""
_FEWEST_PICTURES = 3
"""On fewer, a rank correlation of 1 comes about by chance."""
_WEAKEST = 0.1
"""Share of the edit below which a slider changes nothing to speak of; ranks of so little are noise."""
_NUMBERS = (
    ("rank_correlation", "preview.correlation", "{:.2f}"),
    ("strength", "preview.strength", "{:.2f} ×"),
    ("leak", "preview.leak", "{:.2f}"),
    ("rest", "preview.rest", "{:.1f} / 255"),
    ("fidelity", "preview.fidelity", "{:.2f}"),
)
"""What is shown of a sweep: its entry, the text's key, and how it is written."""


def render(page: Page) -> Html:
    """Weight slider, numbers with a verdict, curve of the effect, contact sheet, prompt to copy."""
    steps = page.steps_of_panel("preview", shown_only=True)
    report = page.opened.report(steps[0]) if steps else {}
    shown = (
        join(
            _slider(page, steps[0], report),
            _numbers(page, steps[0], report),
            ways_on(page, steps),
            _curve(page, report),
            _sheet(page, steps[0], report),
        )
        if report
        else page.nothing("preview.none")
    )
    return join(
        parts.head(page, "preview", steps),
        parts.edit_picker(page),
        parts.reasons(page, steps),
        parts.running(page, steps),
        shown,
        _prompt(page) if report else None,
        trial(page),
        page.block("settings", page.fields("sweep", without={"checkpoint"}), page.folded_fields("sweep")),
        parts.details(page, steps),
        parts.run_buttons(page, steps, label=page.texts("preview.run")),
    )


def _weights(report: Mapping[str, Any]) -> list[float]:
    found = report.get("weights")
    return [float(weight) for weight in found] if isinstance(found, list) else []


def _rows(page: Page, step_id: str, report: Mapping[str, Any]) -> list[tuple[str, list[Path]]]:
    """Caption and pictures of every prompt, those with the largest side effects first.

    Rows with a picture missing are left out.
    """
    weights, prompts = _weights(report), report.get("prompts") or []
    rows = []
    pictures = report.get("pictures") or []
    order = report.get("worst_first") or range(len(pictures))
    for row in order:
        names = pictures[row]
        found = [page.opened.file(step_id, str(name)) for name in names] if isinstance(names, list) else []
        paths = [path for path in found if path is not None]
        if paths and len(paths) == len(weights) == len(found):
            prompt = prompts[row] if row < len(prompts) and isinstance(prompts[row], dict) else {}
            rows.append((str(prompt.get("prompt", row + 1)), paths))
    return rows


def _slider(page: Page, step_id: str, report: Mapping[str, Any]) -> Html:
    weights = _weights(report)
    rows = _rows(page, step_id, report)[:_STRIPS_SHOWN]
    if not rows:
        return Html("")
    prompts = report.get("prompts") or []
    strips = [
        Strip(caption, tuple(page.url(path) for path in paths), _infotext(page, prompts[row : row + 1]))
        for row, (caption, paths) in enumerate(rows)
    ]
    return scrub(
        strips,
        weights,
        name=f"scrub-{step_id}",
        label=page.texts("preview.weight"),
        start=1.0,
        send_label=page.texts("preview.send"),
    )


def _infotext(page: Page, made_from: Sequence[Any]) -> str:
    """What the WebUI's txt2img makes a preview from, where its prompt may name the slider; else empty."""
    edit, recipe = page.edit, page.opened.recipe
    if edit is None or not (made_from and isinstance(made_from[0], dict)) or not page.host.info.is_webui:
        return ""
    name, prompt = published_name(recipe, edit), str(made_from[0].get("prompt", ""))
    if not page.host.is_lora_known(name):
        return ""
    first = page.origin or Origin("")
    width, height = judged_size(recipe, edit) or (first.get("width"), first.get("height"))
    settings: dict[str, Any] = {key: recipe.get(f"sweep.{key}", edit) for key in _SENT}
    settings |= {"width": width, "height": height, "seed": int(number(made_from[0].get("seed")) or 0)}
    return write_infotext(
        PictureRequest(f"{prompt} <lora:{name}:{{weight}}>", **settings), model="", sha256="", lora_hashes={}
    )


def doubts_of(report: Mapping[str, Any]) -> dict[str, str]:
    """Why a sweep's rank correlation says little: the keys of texts with their values."""
    found = {}
    strength, rows = number(report.get("strength")), report.get("pictures")
    if strength is not None and abs(strength) < _WEAKEST:
        found["preview.too_weak"] = f"{strength:.2f}"
    if isinstance(rows, list) and len(rows) < _FEWEST_PICTURES:
        found["preview.too_few"] = str(len(rows))
    return found


def _numbers(page: Page, step_id: str, report: Mapping[str, Any]) -> Html:
    rows, doubts, goal = [], doubts_of(report), page.opened.states[step_id].step.goal
    if isinstance(goal, SliderGoal) and not doubts:
        score = goal.score(report)
        word = page.texts(f"preview.score.{score.replace(' ', '_')}")
        rows.append(("preview.score", word, "poor" if score == "not yet" else "good"))
    # Likeness has no bar of its own: what it lacks is rest.
    silent = {"fidelity"} | ({"rank_correlation"} if doubts else set())
    silent |= {"leak"} if "preview.too_weak" in doubts else set()
    for key, text, shape in _NUMBERS:
        value = number(report.get(key))
        if value is not None:
            is_poor = key not in silent and isinstance(goal, SliderGoal) and goal.shortfall(key, report)
            rows.append((text, shape.format(value), "" if key in silent else "poor" if is_poor else "good"))
    span = report.get("range")
    if isinstance(span, list) and len(span) == 2:
        rows.append(("preview.range", f"{span[0]:g} … {span[1]:g}", ""))
    warning = None
    if (
        isinstance(report.get("sign"), int)
        and report["sign"] < 0
        and page.opened.recipe.get("difference.sign") != "memo"
    ):
        warning = tag("p", page.texts("preview.wrong_sign"), class_="cl-warning")
    doubted = [tag("p", page.texts(key, found=found), class_="cl-warning") for key, found in doubts.items()]
    return page.block("preview.numbers", page.facts(rows), *doubted, warning)


def _curve(page: Page, report: Mapping[str, Any]) -> Html:
    weights, effect = _weights(report), report.get("effect")
    if not isinstance(effect, list) or len(effect) != len(weights):
        return Html("")
    points = [(weight, float(value)) for weight, value in zip(weights, effect, strict=True)]
    attribute = report.get("attribute") or {}
    span = report.get("range")
    shade = (float(span[0]), float(span[1])) if isinstance(span, list) and len(span) == 2 else None
    label = page.texts("preview.curve", attribute=page.texts.said(str(attribute.get("label", ""))))
    drawn = chart([Line("cl-mean", points, has_dots=True)], label=label, shade=shade)
    return page.block("preview.effect", tag("span", label, class_="cl-quiet"), drawn)


def _sheet(page: Page, step_id: str, report: Mapping[str, Any]) -> Html:
    weights: Sequence[float] = _weights(report)
    rows = _rows(page, step_id, report)
    if not rows:
        return Html("")
    head = tag("tr", tag("th"), [tag("th", f"{weight:+g}" if weight else "0") for weight in weights])
    body = [
        tag(
            "tr",
            tag("th", caption[:60]),
            [
                tag("td", tag("img", src=page.url(path), alt=caption, loading="lazy", data_zoom=True))
                for path in paths
            ],
        )
        for caption, paths in rows
    ]
    table = tag("div", tag("table", head, body), class_="cl-sheet cl-strips")
    return folded(page.texts("preview.sheet"), table, name="preview-sheet")


def _prompt(page: Page) -> Html:
    """A test prompt to paste into the WebUI."""
    edit = page.edit
    if edit is None:
        return Html("")
    recipe = page.opened.recipe
    name = published_name(recipe, edit)
    weight = recipe.get("publish.preferred_weight", edit)
    words = ", ".join(
        filter(None, (str(recipe.get("publish.activation_text", edit) or ""), f"<lora:{name}:{weight:g}>"))
    )
    copy = tag("button", page.texts("copy"), type="button", class_="cl-button", data_copy=words)
    return page.block(
        "preview.prompt", tag("div", tag("code", words, class_="cl-command"), copy, class_="cl-row")
    )
