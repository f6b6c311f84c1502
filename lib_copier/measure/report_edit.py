"""One edit on the report's page: its pictures at every weight, its curves, and how it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lib_copier.image.inline import figure, picture
from lib_copier.markup.html import Html, signed, tag
from lib_copier.measure.report import EditReport, Report, Sweep
from lib_copier.measure.report_charts import Curve, effect_chart, leak_bars

ROWS = 4
"""Unseen pictures shown for every edit, those with the largest side effects; all are measured."""


def edit_section(edits: Sequence[EditReport], report: Report) -> Html:
    """One edit by every method that was tried on it."""
    first = edits[0]
    shown = (
        (report.origin.get("picture"), "origin"),
        (first.edited, "edited"),
        (first.heat, "where they differ"),
    )
    pictures = [figure(path, caption) for path, caption in shown if path]
    said = [first.description, str((first.survival or {}).get("sentence", ""))]
    text = " ".join(part for part in said if part)
    chart = effect_chart(_curves(edits), f"Effect of {first.label} over the weight")
    pair = tag(
        "div",
        tag("div", pictures, class_="tiles three"),
        tag("figure", chart, _legend(edits), class_="plot"),
        class_="pair",
    )
    return tag(
        "section",
        tag("h2", first.label),
        tag("p", text) if text else None,
        pair,
        [_method_block(edit) for edit in edits],
        class_="edit",
    )


def _method_block(edit: EditReport) -> Html:
    found = edit.sweep.result
    control = edit.control.result["leak"] if edit.control else None
    chips = [
        ("rank correlation", f"{found['rank_correlation']:.2f}"),
        ("strength at 1", f"{found['strength']:.2f}"),
        ("fidelity", of_worst(found, "fidelity", ".2f")),
        ("rest", of_worst(found, "rest", ".1f")),
        ("sign", signed(float(found["sign"]))),
        ("use within", weight_range(found)),
    ]
    ordinary = None
    if edit.control:
        rows = _strip(edit.control, edit.sweep.order[:1], f"{edit.label}, ordinary training")
        summary = tag("summary", "The same picture, trained the ordinary way (control)")
        ordinary = tag("details", summary, tag("div", rows, class_="wide"), open=True)
    return tag(
        "div",
        tag("h3", f"Method {edit.method}" + (f": {edit.score}" if edit.score else "")),
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in chips], class_="chips"),
        tag("p", f"Below its goal: {'; '.join(edit.below)}.", class_="below") if edit.below else None,
        tag("p", _gain(edit.calibration), class_="quiet") if edit.calibration else None,
        leak_bars(found["leak"], control),
        tag("p", f"Range: {found['range_reason']}. {_floors(found)}", class_="quiet"),
        tag(
            "div",
            _strip(edit.sweep, edit.sweep.order[:ROWS], edit.label),
            class_="wide",
            id=f"strip-{element_of(edit)}",
        ),
        ordinary,
        class_="method",
        id=element_of(edit),
    )


def of_worst(found: Mapping[str, Any], name: str, shape: str) -> str:
    """A number's median and its worst picture's; a dash where it could not be told."""
    if found.get(name) is None:
        return "–"
    worst = found.get(f"{name}_worst")
    return f"{found[name]:{shape}}" + ("" if worst is None else f" (worst {worst:{shape}})")


def _floors(found: Mapping[str, Any]) -> str:
    """What fidelity and rest are where nothing could be better, and where nothing was learned."""
    named = (("vae", "the edit as the VAE shows it"), ("random", "a random LoRA of the same norms"))
    floors = found.get("floors") or {}
    said = [
        f"{label} has fidelity {floor['fidelity']:.2f} and rest {floor['rest']:.1f}"
        for name, label in named
        if (floor := floors.get(name)) and None not in floor.values()
    ]
    return f"For comparison: {'; '.join(said)}." if said else ""


def _gain(calibration: Mapping[str, Any]) -> str:
    """What the calibration did, in a sentence."""
    told = f"Gain {calibration['gain']:.2f}, so that weight 1 gives the edit"
    return f"{told}: {calibration['bound']}." if calibration["bound"] else f"{told}."


def _strip(sweep: Sweep, rows: Sequence[int], label: str) -> Html:
    """Unseen pictures by weight; then the edit applied to the weight-0 picture itself, and what differs."""
    result = sweep.result
    rests = result["per_picture"].get("rest")
    at_one = result["weights"].index(1.0)
    direct = result.get("direct") or []
    head = [tag("th", signed(weight)) for weight in result["weights"]]
    head += [tag("th", "edit itself", class_="direct")] if direct else []
    head += [tag("th", "rest at 1")] if rests else []
    body = []
    for number in rows:
        names = result["pictures"][number]
        prompt = str(result["prompts"][number]["prompt"])
        cells = [
            tag("td", picture(sweep.path(name), f"{label} at {weight:g}: {prompt}"))
            for name, weight in zip(names, result["weights"], strict=True)
        ]
        if direct:
            shown = picture(sweep.path(direct[number]), f"{label} applied to: {prompt}")
            cells.append(tag("td", shown, class_="direct"))
        if rests:
            cells.append(tag("td", f"{rests[number][at_one]:.1f}"))
        body.append(tag("tr", cells, title=prompt))
    return tag("table", tag("thead", tag("tr", head)), tag("tbody", body), class_="strip")


def _curves(edits: Sequence[EditReport]) -> list[Curve]:
    """Each unseen picture faintly, then the control, then the methods' means."""
    first = edits[0].sweep.result
    full = first["direct_effect"] or 1.0
    each = [
        Curve("each picture", "each", first["weights"], [value / full for value in row])
        for row in first["per_picture"]["effect"]
    ]
    controls = [edit.control.result for edit in edits[:1] if edit.control]
    found = [(f"method {edit.method}", edit.method.lower(), edit.sweep.result) for edit in reversed(edits)]
    means = [("ordinary training", "control", result) for result in controls] + found
    return each + [
        Curve(
            label,
            style if style in ("a", "b", "control") else "a",
            result["weights"],
            [value / (result["direct_effect"] or 1.0) for value in result["effect"]],
        )
        for label, style, result in means
    ]


def _legend(edits: Sequence[EditReport]) -> Html:
    items = [(f"method {edit.method}", edit.method.lower()) for edit in edits]
    items += [("ordinary training", "control")] if edits[0].control else []
    items += [("each picture", "each"), ("the edit itself", "full")]
    keys = [tag("li", tag("i", class_=f"key {style}"), label) for label, style in items]
    attribute = edits[0].sweep.result["attribute"]
    return tag("figcaption", str(attribute["label"]), tag("ul", keys, class_="legend"))


def scrubber(edit: EditReport) -> Html:
    """A range that fades through the first strip's pictures (by the page's script)."""
    weights = edit.sweep.result["weights"]
    start = weights.index(1.0)
    first = edit.sweep.result["pictures"][edit.sweep.order[0]]
    still = picture(edit.sweep.path(first[start]), f"{edit.label} at weight 1")
    limits = {"min": f"{weights[0]:g}", "max": f"{weights[-1]:g}", "step": "0.05", "value": "1"}
    caption = tag("figcaption", f"{edit.label} on a picture it never saw, weight ", tag("output", "+1"))
    return tag(
        "figure",
        tag("div", still, tag("img", alt="", hidden=True), class_="stack"),
        tag("label", tag("input", type="range", hidden=True, **limits), caption),
        class_="scrub",
        data_strip=f"strip-{element_of(edit)}",
        data_weights=" ".join(f"{weight:g}" for weight in weights),
    )


def weight_range(result: Mapping[str, Any]) -> str:
    low, high = result["range"]
    return f"{signed(low)} … {signed(high)}"


def element_of(edit: EditReport) -> str:
    """An element's name: letters and digits only, whatever the edit is called."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in edit.name)
    return f"{edit.method.lower()}-{plain}-{sum(map(ord, edit.name)):x}"
