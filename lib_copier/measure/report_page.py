"""The report's page: sections from the results, put into the template beside this module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_copier.files.disk import write_json, write_text
from lib_copier.image.inline import figure, picture
from lib_copier.markup.html import Html, duration, tag
from lib_copier.markup.page import whole_page
from lib_copier.measure.report import EditReport, Report, read_report, report_numbers
from lib_copier.measure.report_charts import time_bars
from lib_copier.measure.report_edit import edit_section, element_of, of_worst, scrubber, weight_range

_DEFINED = (
    (
        "Effect",
        "One attribute of a picture, computed on the picture alone, against the same prompt and seed at "
        "weight 0.",
    ),
    (
        "Rank correlation",
        "Spearman’s, of effect and weight from −1 to 1, by picture, then the mean.",
    ),
    (
        "Strength",
        "Mean effect at weight 1 over that of the edit applied to the weight-0 pictures themselves.",
    ),
    (
        "Leak",
        "How much of the training picture is mixed into a new one at weight 1: a least-squares fit that sets "
        "apart what the edit itself moves and what the picture merely loses.",
    ),
    (
        "Use within",
        "The widest range in which every step adds effect and the leak stays at most 0.25.",
    ),
    (
        "Ordinary training",
        "The control: a LoRA trained on the edited picture alone, without a copier.",
    ),
)


def write_report(job: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``report.html`` and ``report.json``; the result names both and holds the JSON's object.

    Raises FaultsError naming every folder or picture that is missing.
    """
    report = read_report(job)
    numbers = report_numbers(report)
    html, figures = (Path(job["output"]) / name for name in ("report.html", "report.json"))
    write_text(html, page(report))
    write_json(figures, numbers, indent=2)
    return {"html": str(html), "json": str(figures), "report": numbers}


def page(report: Report) -> str:
    """The whole page, with every picture inside it."""
    sections = [_glance(report), _numbers(report), _copier(report)]
    by_name: dict[str, list[EditReport]] = {}
    for edit in report.edits:
        by_name.setdefault(edit.name, []).append(edit)
    sections += [edit_section(edits, report) for edits in by_name.values()]
    sections += [_times(report), _notes(report), _definitions()]
    facts = []
    if report.checkpoint.get("name"):
        facts.append(f"checkpoint {report.checkpoint['name']}")
    if report.checkpoint.get("sha256"):
        facts.append(f"sha256 {str(report.checkpoint['sha256'])[:12]}…")
    if report.seconds.get("total"):
        facts.append(f"{duration(float(report.seconds['total']))} of work")
    lead = report.lead or "One picture, its retouched copy, and a slider that does only that."
    return whole_page(report.title, lead, facts, sections)


def _glance(report: Report) -> Html:
    """The method in one row: origin, copier, edit, slider."""
    steps: list[tuple[str, Html]] = []
    if report.origin.get("picture"):
        prompt = str(report.origin.get("prompt") or "any picture that the model generated")
        steps.append(("Origin", figure(report.origin["picture"], prompt, "origin picture")))
    if report.check:
        prints = [
            picture(report.check.path(p["path"]), f"print for: {p['prompt']}")
            for p in report.check.result["pictures"][:4]
        ]
        middle = f"prints it whatever the prompt: {report.check.result['psnr_db']['median']:.1f} dB"
        steps.append(("Copier", tag("figure", tag("div", prints, class_="four"), tag("figcaption", middle))))
    first = report.edits[0] if report.edits else None
    if first and first.edited:
        steps.append(("Edit", figure(first.edited, first.label, f"origin after the edit {first.label}")))
    if first:
        steps.append(("Slider", scrubber(first)))
    numbers = {"Origin": "1", "Copier": "2", "Edit": "3", "Slider": "4"}
    arrow = tag("span", "→", class_="arrow", aria_hidden="true")
    body = [
        (
            arrow if place else None,
            tag("div", tag("h3", tag("b", numbers[name]), f" {name}"), shown, class_="step"),
        )
        for place, (name, shown) in enumerate(steps)
    ]
    return tag(
        "section",
        (part for pair in body for part in pair),
        class_="glance",
        aria_label="The method at a glance",
    )


def _numbers(report: Report) -> Html | None:
    heads = (
        "Edit",
        "Method",
        "Rank correlation",
        "Strength at 1",
        "Leak",
        "Leak, ordinary",
        "Fidelity",
        "Rest",
        "All in all",
        "Sign",
        "Use within",
    )
    rows = []
    for edit in report.edits:
        found = edit.sweep.result
        control = edit.control.result["leak"] if edit.control else None
        cells = (
            edit.method,
            f"{found['rank_correlation']:.2f}",
            f"{found['strength']:.2f}",
            f"{found['leak']:.2f}",
            "–" if control is None else f"{control:.2f}",
            of_worst(found, "fidelity", ".2f"),
            of_worst(found, "rest", ".1f"),
            edit.score or "–",
            {1: "plus adds it", -1: "plus removes it"}.get(found["sign"], "no effect"),
            weight_range(found),
        )
        name = tag("th", tag("a", edit.label, href=f"#{element_of(edit)}"), scope="row")
        rows.append(tag("tr", name, [tag("td", cell) for cell in cells]))
    if not rows:
        return None
    table = tag("table", tag("thead", tag("tr", [tag("th", head) for head in heads])), tag("tbody", rows))
    told = (
        "Measured on pictures no training saw. Strength 1 is the edit itself; leak 0 is none, 1 is the "
        "training picture; ordinary is a LoRA trained on the edited picture alone. Fidelity is the cosine of "
        "the picture’s change and the edit’s own: 1 is the edit and nothing else; the rest is what lies "
        "between them, in levels of 255. Both are medians at weight 1, beside the worst picture’s; the worst "
        "pictures are shown first."
    )
    return tag(
        "section", tag("h2", "In numbers"), tag("div", table, class_="wide"), tag("p", told, class_="quiet")
    )


def _copier(report: Report) -> Html | None:
    if not report.check or not report.copier:
        return None
    result = report.check.result
    tiles = [
        figure(report.check.path(result["origin"]), "origin"),
        figure(report.check.path(result["round_trip"]), "through the VAE: the ceiling"),
        *(
            figure(report.check.path(p["path"]), f"{p['psnr_db']:.1f} dB · {p['prompt']}")
            for p in result["pictures"]
        ),
    ]
    psnr, ssim = result["psnr_db"], result["ssim"]
    facts = [
        f"PSNR median {psnr['median']:.1f} dB, lowest {psnr['min']:.1f}; the VAE's ceiling is "
        f"{psnr['ceiling']:.1f}.",
        f"SSIM median {ssim['median']:.3f}, lowest {ssim['min']:.3f}; ceiling {ssim['ceiling']:.3f}.",
    ]
    if report.copier.get("steps") and report.copier.get("seconds"):
        facts.append(
            f"{report.copier['steps']} training steps in {duration(float(report.copier['seconds']))}."
        )
    if report.copier.get("below"):
        facts.append(f"Below its goal: {'; '.join(report.copier['below'])}.")
    return tag(
        "section",
        tag("h2", "The copier’s proof"),
        tag("p", " ".join(facts)),
        tag("div", tiles, class_="tiles"),
    )


def _times(report: Report) -> Html | None:
    steps = [(str(name), float(value)) for name, value in (report.seconds.get("by_step") or {}).items()]
    if not steps:
        return None
    # Steps may have run side by side: their sum is no time that passed.
    total = report.seconds.get("total")
    told = tag("p", f"{duration(float(total))} in all.") if total else None
    return tag("section", tag("h2", "Times"), told, time_bars(steps))


def _notes(report: Report) -> Html | None:
    if not report.notes:
        return None
    return tag("section", tag("h2", "Notes"), tag("ul", [tag("li", note) for note in report.notes]))


def _definitions() -> Html:
    terms = [(tag("dt", term), tag("dd", said)) for term, said in _DEFINED]
    return tag("section", tag("h2", "How it is measured"), tag("dl", terms, class_="defined"))
