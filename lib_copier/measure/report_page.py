"""The report's page: sections from the results, put into the template beside this module."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from PIL import Image

from lib_copier.image.files import encoded, read_picture
from lib_copier.measure.report import EditReport, Report, Sweep
from lib_copier.measure.report_charts import Curve, duration, effect_chart, leak_bars, signed, time_bars

TEMPLATE = Path(__file__).with_name("report_template.html")
ROWS = 4
"""Unseen pictures shown for every edit; all are measured."""
LARGEST = 512


def page(report: Report) -> str:
    """The whole page, with every picture inside it."""
    sections = [_glance(report), _numbers(report), _copier(report)]
    by_name: dict[str, list[EditReport]] = {}
    for edit in report.edits:
        by_name.setdefault(edit.name, []).append(edit)
    sections += [_edit(edits, report) for edits in by_name.values()]
    sections += [_times(report), _notes(report)]
    facts = []
    if report.checkpoint.get("name"):
        facts.append(f"checkpoint {report.checkpoint['name']}")
    if report.checkpoint.get("sha256"):
        facts.append(f"sha256 {str(report.checkpoint['sha256'])[:12]}…")
    if report.seconds.get("total"):
        facts.append(f"{duration(float(report.seconds['total']))} of work")
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(report.title),
        lead=escape(report.lead or "One picture, its retouched copy, and a slider that does only that."),
        facts="".join(f"<li>{escape(fact)}</li>" for fact in facts),
        sections="\n".join(section for section in sections if section),
    )


def picture(path: Path, alt: str, extra: str = "") -> str:
    """An image element with the picture inside; small ones without loss."""
    image = read_picture(path).image
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    options = {"lossless": True} if max(image.size) <= 256 else {"quality": 88}
    data = base64.b64encode(encoded(image, "WEBP", method=4, **options)).decode("ascii")
    return (
        f'<img src="data:image/webp;base64,{data}" width="{image.width}" height="{image.height}" '
        f'alt="{escape(alt, quote=True)}"{extra}>'
    )


def _figure(path: Path, caption: str, alt: str = "") -> str:
    return f"<figure>{picture(path, alt or caption)}<figcaption>{escape(caption)}</figcaption></figure>"


def _glance(report: Report) -> str:
    """The method in one row: origin, copier, edit, slider."""
    steps = []
    if report.origin.get("picture"):
        prompt = str(report.origin.get("prompt") or "any picture that the model generated")
        steps.append(("1", "Origin", _figure(report.origin["picture"], prompt, "origin picture")))
    if report.check:
        prints = "".join(
            picture(report.check.path(p["path"]), f"print for: {p['prompt']}")
            for p in report.check.result["pictures"][:4]
        )
        middle = report.check.result["psnr_db"]["median"]
        steps.append(
            (
                "2",
                "Copier",
                f'<figure><div class="four">{prints}</div><figcaption>prints it whatever the prompt: '
                f"{middle:.1f} dB</figcaption></figure>",
            )
        )
    first = report.edits[0] if report.edits else None
    if first and first.edited:
        steps.append(
            ("3", "Edit", _figure(first.edited, first.label, f"origin after the edit {first.label}"))
        )
    if first:
        steps.append(("4", "Slider", _scrubber(first)))
    body = '<span class="arrow" aria-hidden="true">→</span>'.join(
        f'<div class="step"><h3><b>{number}</b> {name}</h3>{content}</div>' for number, name, content in steps
    )
    return f'<section class="glance" aria-label="The method at a glance">{body}</section>'


def _scrubber(edit: EditReport) -> str:
    """A range that fades through the first strip's pictures (by the page's script)."""
    weights = edit.sweep.result["weights"]
    start = weights.index(1.0)
    values = " ".join(f"{weight:g}" for weight in weights)
    still = picture(edit.sweep.path(edit.sweep.result["pictures"][0][start]), f"{edit.label} at weight 1")
    return (
        f'<figure class="scrub" data-strip="strip-{_id(edit)}" data-weights="{values}">'
        f'<div class="stack">{still}<img alt="" hidden></div>'
        f'<label><input type="range" min="{weights[0]:g}" max="{weights[-1]:g}" step="0.05" value="1" hidden>'
        f"<figcaption>{escape(edit.label)} on a picture it never saw, weight <output>+1</output></figcaption>"
        "</label></figure>"
    )


def _numbers(report: Report) -> str:
    rows = []
    for edit in report.edits:
        found = edit.sweep.result
        low, high = found["range"]
        control = edit.control.result["leak"] if edit.control else None
        sign = {1: "plus adds it", -1: "plus removes it"}.get(found["sign"], "no effect")
        rows.append(
            f'<tr><th scope="row"><a href="#{_id(edit)}">{escape(edit.label)}</a></th>'
            f"<td>{escape(edit.method)}</td><td>{found['rank_correlation']:.2f}</td>"
            f"<td>{found['strength']:.2f}</td><td>{found['leak']:.2f}</td>"
            f"<td>{'–' if control is None else format(control, '.2f')}</td><td>{sign}</td>"
            f"<td>{signed(low)} … {signed(high)}</td></tr>"
        )
    if not rows:
        return ""
    return (
        '<section><h2>In numbers</h2><div class="wide"><table><thead><tr><th>Edit</th><th>Method</th>'
        "<th>Rank correlation</th><th>Strength at 1</th><th>Leak</th><th>Leak, ordinary</th><th>Sign</th>"
        f"<th>Use within</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        '<p class="quiet">Measured on pictures no training saw. Strength 1 is the edit itself; leak 0 is '
        "none, 1 is the training picture; ordinary is a LoRA trained on the edited picture alone.</p>"
        "</section>"
    )


def _copier(report: Report) -> str:
    if not report.check or not report.copier:
        return ""
    result = report.check.result
    tiles = [
        _figure(report.check.path(result["origin"]), "origin"),
        _figure(report.check.path(result["round_trip"]), "through the VAE: the ceiling"),
        *(
            _figure(report.check.path(p["path"]), f"{p['psnr_db']:.1f} dB · {p['prompt']}")
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
    return (
        f"<section><h2>The copier’s proof</h2><p>{escape(' '.join(facts))}</p>"
        f'<div class="tiles">{"".join(tiles)}</div></section>'
    )


def _edit(edits: Sequence[EditReport], report: Report) -> str:
    """One edit by every method that was tried on it."""
    first = edits[0]
    pictures = []
    if report.origin.get("picture"):
        pictures.append(_figure(report.origin["picture"], "origin"))
    if first.edited:
        pictures.append(_figure(first.edited, "edited"))
    if first.heat:
        pictures.append(_figure(first.heat, "where they differ"))
    said = [first.description, str((first.survival or {}).get("sentence", ""))]
    text = " ".join(part for part in said if part)
    chart = effect_chart(_curves(edits), f"Effect of {first.label} over the weight")
    blocks = "".join(_method_block(edit) for edit in edits)
    return (
        f'<section class="edit"><h2>{escape(first.label)}</h2>{f"<p>{escape(text)}</p>" if text else ""}'
        f'<div class="pair"><div class="tiles three">{"".join(pictures)}</div>'
        f'<figure class="plot">{chart}{_legend(edits)}</figure></div>{blocks}</section>'
    )


def _method_block(edit: EditReport) -> str:
    found = edit.sweep.result
    control = edit.control.result["leak"] if edit.control else None
    chips = [
        ("rank correlation", f"{found['rank_correlation']:.2f}"),
        ("strength at 1", f"{found['strength']:.2f}"),
        ("sign", signed(float(found["sign"]))),
        ("use within", f"{signed(found['range'][0])} … {signed(found['range'][1])}"),
    ]
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in chips)
    reason = f'<p class="quiet">Range: {escape(str(found["range_reason"]))}.</p>'
    ordinary = ""
    if edit.control:
        rows = _strip(edit.control, 1, f"{edit.label}, ordinary training")
        ordinary = (
            "<details open><summary>The same picture, trained the ordinary way (control)</summary>"
            f'<div class="wide">{rows}</div></details>'
        )
    return (
        f'<div class="method" id="{_id(edit)}"><h3>Method {escape(edit.method)}</h3>'
        f'<dl class="chips">{facts}</dl>{leak_bars(found["leak"], control)}{reason}'
        f'<div class="wide" id="strip-{_id(edit)}">{_strip(edit.sweep, ROWS, edit.label)}</div>'
        f"{ordinary}</div>"
    )


def _strip(sweep: Sweep, rows: int, label: str) -> str:
    """Unseen pictures by weight; last, the edit applied to the weight-0 picture itself."""
    result = sweep.result
    direct = result.get("direct") or []
    head = "".join(f"<th>{signed(weight)}</th>" for weight in result["weights"])
    head += '<th class="direct">edit itself</th>' if direct else ""
    body = []
    for number, names in enumerate(result["pictures"][:rows]):
        prompt = result["prompts"][number]["prompt"]
        cells = "".join(
            f"<td>{picture(sweep.path(name), f'{label} at {weight:g}: {prompt}')}</td>"
            for name, weight in zip(names, result["weights"], strict=True)
        )
        if direct:
            shown = picture(sweep.path(direct[number]), f"{label} applied to: {prompt}")
            cells += f'<td class="direct">{shown}</td>'
        body.append(f'<tr title="{escape(prompt, quote=True)}">{cells}</tr>')
    return f'<table class="strip"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


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


def _legend(edits: Sequence[EditReport]) -> str:
    items = [(f"method {edit.method}", edit.method.lower()) for edit in edits]
    items += [("ordinary training", "control")] if edits[0].control else []
    items += [("each picture", "each"), ("the edit itself", "full")]
    keys = "".join(f'<li><i class="key {style}"></i>{escape(label)}</li>' for label, style in items)
    attribute = edits[0].sweep.result["attribute"]
    return f'<figcaption>{escape(attribute["label"])}<ul class="legend">{keys}</ul></figcaption>'


def _times(report: Report) -> str:
    steps = [(str(name), float(value)) for name, value in (report.seconds.get("by_step") or {}).items()]
    if not steps:
        return ""
    total = float(report.seconds.get("total") or sum(value for _, value in steps))
    return f"<section><h2>Times</h2><p>{duration(total)} in all.</p>{time_bars(steps)}</section>"


def _notes(report: Report) -> str:
    if not report.notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    return f"<section><h2>Notes</h2><ul>{items}</ul></section>"


def _id(edit: EditReport) -> str:
    """An element's name: letters and digits only, whatever the edit is called."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in edit.name)
    return f"{edit.method.lower()}-{plain}-{sum(map(ord, edit.name)):x}"
