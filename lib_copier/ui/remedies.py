"""A missed goal on the page: what was reached and what was wanted, and the ways on as buttons."""

from __future__ import annotations

from collections.abc import Sequence

from lib_copier.graph.status import StepStatus
from lib_copier.markup.html import Html, join, tag
from lib_copier.recipe.model import Effect
from lib_copier.recipe.options import OPTIONS
from lib_copier.steps.remedies import Remedy, remedies
from lib_copier.ui import parts
from lib_copier.ui.page import Page

_ACCEPTING = {"check": ("origin", "accept_copier"), "survival": ("edit", "accept_faint")}
_ACCEPTING |= {"sweep": ("sweep", "accept")}
"""By the kind of step: the option that goes on although its goal is missed."""


def ways_on(page: Page, step_ids: Sequence[str]) -> Html:
    """For every step among these whose goal is missed: what it lacks, and what can be done about it."""
    found = [page.opened.states[step_id] for step_id in step_ids if step_id in page.opened.states]
    return join(*(_ways(page, status) for status in found if status.shortfalls and status.is_made))


def _ways(page: Page, status: StepStatus) -> Html:
    texts, kind = page.texts, status.step.kind
    lacks = texts("said.and").join(map(texts.said, status.shortfalls))
    if status.step.is_accepted:
        group, name = _ACCEPTING[kind]
        told = tag("p", tag("strong", f"{texts('state.accepted')}: "), lacks, class_="cl-warning")
        return join(told, page.fields(group, only={name}))
    told = tag("p", tag("strong", f"{texts('state.missed')}: "), lacks, class_="cl-fault")
    offered = () if page.opened.is_busy else remedies(page.opened.recipe, status)
    rows = [tag("div", _way(page, status, remedy), class_="cl-row") for remedy in offered]
    return join(told, tag("p", texts(f"missed.{kind}")), rows)


def _way(page: Page, status: StepStatus, remedy: Remedy) -> Html:
    """One way on: a button that says what it changes, and why; words alone where no setting mends it."""
    texts = page.texts
    why = tag("span", texts.said(remedy.reason), class_="cl-quiet") if remedy.reason else None
    if not remedy.values:
        return join(why)
    changes = ", ".join(_change(page, address, value) for address, value in remedy.values.items())
    text = texts(f"way.{remedy.kind}", changes=changes)
    return join(parts.button(text, "go_on", step=status.id, way=remedy.kind), why)


def _change(page: Page, address: str, value: object) -> str:
    """A setting and its new value in the page's words."""
    option = OPTIONS.get(".".join(address.split(".")[-2:]))
    if option is not None:
        typed = option.text(option.accept(value))
        return f"{page.texts.option_label(option)} {page.texts.choice(option, typed)}"
    chain = value if isinstance(value, tuple) else ()
    links = [one for one in chain if isinstance(one, Effect)]
    return ", ".join(f"{page.texts.named('effect', one.name)} × {one.strength:g}" for one in links)
