"""A study's page: the variants ranked, pictures of the best on the same prompts, what each axis does.

However many variants there are, the page shows the first `ROWS` and draws pictures of `STRIPS`; all of them
are in ``report.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from lib_copier.files.disk import found_object, write_json, write_text
from lib_copier.graph.status import StepStatus
from lib_copier.image.inline import picture
from lib_copier.markup.html import Html, duration, signed, tag
from lib_copier.markup.page import whole_page
from lib_copier.markup.svg import Axis as Scale
from lib_copier.markup.svg import Line, Tick, chart
from lib_copier.steps.parts import RESULT
from lib_copier.study.axes import Axis
from lib_copier.study.joint import Ids
from lib_copier.study.score import PRUNED, Outcome
from lib_copier.study.study import Study
from lib_copier.study.table import SHARES, as_json, sizes, worst_shares
from lib_copier.study.variants import Variant

ROWS = 100
STRIPS = 6
_PROMPTS = 2
"""Unseen pictures of a strip, the same of every variant."""
_LARGEST = 256
_MOST_TICKS = 24
"""Values of an axis that are drawn: of more, as many, evenly taken."""

_TERMS = [
    (
        "Score",
        "The mean of follows, strength, leak, fidelity and rest, each a share of the best there is; of "
        "several edits the worst one’s. Variants stand by their word, then by it, then by time.",
    ),
    ("follows", "Rank correlation of effect and weight, in the meant direction."),
    ("strength", "1 where weight 1 gives the edit; 0 where it gives nothing, or twice as much."),
    ("leak, rest", "1 for none of it, 0 for as much as the slider’s goal allows at most."),
    ("fidelity", "The cosine of the picture’s change and the edit’s own."),
    ("copied", "Of the look before: the copier’s worst print beside what is wanted."),
    ("kept", "Of the look before: the share of the edit that the VAE keeps."),
]


def write_report(study: Study, outcomes: Mapping[int, Outcome], folder: Path) -> Path:
    """Write ``report.html`` and ``report.json`` into the folder; the page's path."""
    write_json(folder / "report.json", as_json(study, outcomes))
    write_text(folder / "report.html", page(study, outcomes))
    return folder / "report.html"


def page(study: Study, outcomes: Mapping[int, Outcome]) -> str:
    """The whole page, with every picture inside it."""
    ranked = study.ranked(outcomes)
    best = [one for one in ranked if outcomes[one.number].word][:STRIPS]
    work = sum(outcome.seconds for outcome in outcomes.values())
    sections = [
        _table(study, ranked, outcomes),
        _strips(study, best, outcomes),
        *(_axis(study, place, axis, outcomes) for place, axis in enumerate(study.question.axes)),
        _said(study),
    ]
    facts = [f"{len(ranked)} variants", f"{duration(work)} of work, what is shared counted each time"]
    return whole_page(f"Study {study.name}", f"{sizes(study)}.", facts, sections)


def _table(study: Study, ranked: list[Variant], outcomes: Mapping[int, Outcome]) -> Html:
    axes = study.question.axes
    shown = [one for one in SHARES if any(one in worst_shares(found) for found in outcomes.values())]
    heads = ("", "Variant", *_short_names(axes), "Score", "All in all", *shown, "Time", "")
    rows = []
    for place, variant in enumerate(ranked[:ROWS], 1):
        outcome = outcomes[variant.number]
        shares = worst_shares(outcome)
        cells = (
            *(choice.name for choice in variant.choices),
            "–" if outcome.score is None else f"{outcome.score:.3f}",
            outcome.word or outcome.state,
            *(f"{shares[name]:.2f}" if name in shares else "–" for name in shown),
            duration(outcome.seconds) if outcome.seconds else "–",
            outcome.reason or (f"pruned after {outcome.rung}" if outcome.state == PRUNED else ""),
        )
        # The axes tell what it is; `--variant` takes the number too.
        name = tag("th", str(variant.number), scope="row", title=variant.name)
        rows.append(tag("tr", tag("td", str(place)), name, [tag("td", cell) for cell in cells]))
    left = len(ranked) - len(rows)
    more = tag("p", f"{left} more are in report.json.", class_="quiet") if left else None
    table = tag("table", tag("thead", tag("tr", [tag("th", head) for head in heads])), tag("tbody", rows))
    return tag("section", tag("h2", "Ranked"), tag("div", table, class_="wide"), more)


def _short_names(axes: Sequence[Axis]) -> list[str]:
    """The end of each axis's address that no other column of the table is called by."""
    ends = [[axis.name.split(".", cut)[-1] for cut in range(axis.name.count(".") + 1)] for axis in axes]
    count = Counter(end for own in ends for end in own) + Counter(SHARES)
    return [next((end for end in reversed(own) if count[end] == 1), own[0]) for own in ends]


def _strips(study: Study, best: list[Variant], outcomes: Mapping[int, Outcome]) -> Html | None:
    """For every edit and prompt, a row a variant: the same picture by all of them."""
    if not best:
        return None
    # Who was pruned after a sweep of few pictures has those.
    rungs = {rung.name: rung for rung in study.question.climbed}
    looked = {one.number: study.joint(rungs[outcomes[one.number].rung], [one]) for one in best}
    found = {number: (joint.ids[number], study.statuses(joint)) for number, joint in looked.items()}
    blocks = []
    for edit in study.question.recipe.edits:
        swept = [
            (one, status)
            for one in best
            if (status := _status_of(f"sweep/{edit.name}", *found[one.number])) and status.artifact
        ]
        for row in range(_PROMPTS):
            blocks += [_strip(edit.name, row, swept)]
    return tag("section", tag("h2", "The best, on the same prompts"), blocks)


def _status_of(step_id: str, ids: Ids, statuses: Mapping[str, StepStatus]) -> StepStatus | None:
    return statuses.get(ids.get(step_id, ""))


def _strip(edit: str, row: int, swept: list[tuple[Variant, StepStatus]]) -> Html | None:
    body, heads, prompt = [], [], ""
    for variant, status in swept:
        assert status.artifact is not None
        result = found_object(status.artifact.file(RESULT))
        cells = list(_cells(result, row, status.artifact.folder, f"{edit}, {variant.name}"))
        if not cells:
            continue
        heads, prompt = (
            [signed(weight) for weight in result["weights"]],
            str(result["prompts"][row]["prompt"]),
        )
        body.append(tag("tr", tag("th", variant.name, scope="row"), cells))
    if not body:
        return None
    head = tag("thead", tag("tr", tag("th"), [tag("th", one) for one in heads]))
    return tag(
        "div",
        tag("h3", f"{edit}: {prompt}"),
        tag("div", tag("table", head, tag("tbody", body), class_="strip"), class_="wide"),
        class_="method",
    )


def _cells(result: Mapping[str, Any], row: int, folder: Path, label: str) -> Iterator[Html]:
    """One picture a weight, as far as the sweep has them; what it tells is a file's, so it is looked at."""
    rows, weights = result.get("pictures"), result.get("weights")
    if not isinstance(rows, list) or not isinstance(weights, list) or row >= len(rows):
        return
    for name, weight in zip(rows[row], weights, strict=False):
        path = folder / Path(str(name)).name
        if path.is_file():
            yield tag("td", picture(path, f"{label} at {weight:g}", _LARGEST))


def _axis(study: Study, place: int, axis: Axis, outcomes: Mapping[int, Outcome]) -> Html | None:
    """The scores over the values of one axis: every variant a dot, their mean and the best as lines."""
    scores: list[list[float]] = [[] for _ in axis.choices]
    places = {choice: at for at, choice in enumerate(axis.choices)}
    alike = _on_one_scale(outcomes)
    for variant in study.variants:
        if variant.number in alike:
            scores[places[variant.choices[place]]].append(alike[variant.number])
    step = -(-len(axis.choices) // _MOST_TICKS)
    shown = [(at, found) for at, found in enumerate(scores) if at % step == 0 and found]
    if len(axis.choices) < 2 or not shown:
        return None
    ticks = [Tick(at, axis.choices[at].name[:12]) for at, _ in shown]
    levels = [Tick(value / 4, f"{value / 4:g}", "grid") for value in range(5)]
    lines = [Line("each", [(at, min(found)), (at, max(found))], has_dots=True) for at, found in shown] + [
        Line("control", [(float(at), fmean(found)) for at, found in shown], has_dots=True),
        Line("a", [(float(at), max(found)) for at, found in shown], has_dots=True),
    ]
    drawn = chart(
        lines,
        label=f"score by {axis.name}",
        x=Scale(-0.5, len(axis.choices) - 0.5, ticks, axis.name),
        y=Scale(0.0, 1.0, levels, "score"),
        size=(640.0, 260.0),
    )
    keys = [
        tag("li", tag("i", class_=f"key {kind}"), word)
        for kind, word in (("a", "the best"), ("control", "mean"), ("each", "lowest to highest"))
    ]
    best = max(shown, key=lambda one: max(one[1]))[0]
    means = [fmean(found) for _, found in shown]
    told = f"Means differ by {max(means) - min(means):.2f}; the best is with {axis.choices[best].name}."
    if left := len(outcomes) - len(alike):
        told += f" Not shown, for they did not come so far: {left}."
    return tag(
        "section",
        tag("h2", f"What {axis.name} does"),
        tag("p", told),
        tag("figure", drawn, tag("figcaption", tag("ul", keys, class_="legend"))),
    )


def _on_one_scale(outcomes: Mapping[int, Outcome]) -> dict[int, float]:
    """Scores that can be compared, by variant: those of sweeps, else those of the look before."""
    scored = {number: one for number, one in outcomes.items() if one.score is not None}
    swept = {number: one for number, one in scored.items() if one.word}
    return {number: one.score for number, one in (swept or scored).items() if one.score is not None}


def _said(study: Study) -> Html:
    pruned = f"One in {study.question.reduction} went on from the look that is named."
    terms = [*_TERMS, ("pruned", pruned)] if study.question.reduction else _TERMS
    listed = [(tag("dt", term), tag("dd", said)) for term, said in terms]
    return tag("section", tag("h2", "How it is judged"), tag("dl", listed, class_="defined"))
