"""Find me a good origin: prompts and seeds to try, and their pictures, the best first."""

from __future__ import annotations

from lib_copier.markup.html import Html, element_id, tag
from lib_copier.recipe.model import Origin
from lib_copier.study.score import MEASURED, Outcome, order
from lib_copier.study.scout import MOST_PICTURES, picture_of
from lib_copier.study.variants import Variant
from lib_copier.ui import parts
from lib_copier.ui.form import folded
from lib_copier.ui.page import Page
from lib_copier.ui.picture import figure, gallery
from lib_copier.ui.scouts import Scout, job_of, scout_of

_SEEDS = 4


def search(page: Page, origin: Origin) -> Html:
    """The form, how far the search is, and what it has found."""
    scout = scout_of(page)
    content = tag(
        "div",
        tag("p", page.texts("scout.lead"), class_="cl-quiet"),
        _form(page, origin),
        _state(page, scout) if scout else None,
        _found(page, scout) if scout else None,
        class_="cl-block",
    )
    return folded(page.texts("scout.title"), content, name="scout")


def _form(page: Page, origin: Origin) -> Html:
    texts, job = page.texts, job_of(page)
    is_open = job is not None and job.is_open
    prompts, seeds = element_id("scout", "prompts"), element_id("scout", "seeds")
    area = tag("textarea", str(origin.get("prompt")), rows=3, name="prompts", id=prompts)
    number = tag("input", type="number", value=_SEEDS, min=1, max=MOST_PICTURES, name="seeds", id=seeds)
    labels = (
        tag("label", texts("scout.prompts"), for_=prompts, class_="cl-label"),
        tag("label", texts("scout.seeds"), for_=seeds, class_="cl-label"),
    )
    fields = (
        tag("div", labels[0], area, class_="cl-field cl-wide"),
        tag("div", labels[1], number, class_="cl-field"),
    )
    row = (
        parts.button(texts("scout.search"), "scout", disabled=is_open),
        parts.button(texts("run.stop"), "stop_scout") if is_open else None,
    )
    return tag(
        "div", tag("div", fields, class_="cl-form"), tag("div", row, class_="cl-row"), data_form="scout"
    )


def _state(page: Page, scout: Scout) -> Html | None:
    """A bar while it waits or runs; what went wrong, where it ended so."""
    texts, job = page.texts, job_of(page)
    if job is None or job.state == "done":
        return None
    if not job.is_open:
        return tag("p", texts.said(job.message) or texts(f"job.{job.state}"), class_="cl-warning")
    said = tag("strong", texts(f"job.{job.state}"))
    bar = tag("progress", max=1, value=f"{scout.share:.4f}", aria_label=texts("scout.title"))
    row = tag("div", said, tag("span", f"{scout.share:.0%}"), class_="cl-row")
    return tag("div", row, bar, class_="cl-progress", role="status")


def _found(page: Page, scout: Scout) -> Html | None:
    """Its pictures, the best first; one click takes one."""
    outcomes = scout.outcomes()
    ranked = sorted(scout.study.variants, key=lambda one: (*order(outcomes[one.number]), one.number))
    shown = [
        _picture(page, scout, variant, outcomes[variant.number], is_best=variant is ranked[0])
        for variant in ranked
        if scout.picture(variant).artifact is not None
    ]
    return gallery(shown) if shown else None


def _picture(page: Page, scout: Scout, variant: Variant, outcome: Outcome, *, is_best: bool) -> Html:
    texts, made = page.texts, scout.picture(variant)
    assert made.artifact is not None
    prompt, seed = picture_of(variant).values()
    path = made.artifact.file(made.step.outputs[0].name)
    score = texts("scout.unjudged") if outcome.score is None else f"{outcome.score:.2f}"
    number = variant.number
    whole = None
    if is_best and outcome.state == MEASURED:
        said = texts("scout.take_run")
        whole = parts.button(said, "take_origin", is_primary=True, number=number, then="run")
    return tag(
        "div",
        figure(page.url(path), texts("scout.told", score=score, seed=seed), alt=str(prompt)),
        parts.button(texts("scout.take"), "take_origin", number=number),
        whole,
        class_="cl-block",
    )
