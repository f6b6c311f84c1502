"""Setting up and removing the sd-scripts engine."""

from __future__ import annotations

from lib_copier.errors import InputError
from lib_copier.ui.acts.act import Details, Outcome, text_of
from lib_copier.ui.page import Page

_VERBS = frozenset({"install", "remove"})


def engine(page: Page, details: Details) -> Outcome:
    """Queue the set-up or the removal; its log stands on the card."""
    verb = text_of(details, "verb")
    if verb not in _VERBS:
        raise InputError("The engine can be installed or removed.", "Reload the page and try again.")
    if not page.host.info.may_install:
        raise InputError(
            "Nothing is installed while others can reach this page.",
            "Start it for this machine alone, or run `python run.py engine install`.",
        )
    page.workshop.queue.submit("engine", page.texts(f"engine.{verb}"), ("-m", "lib_copier", "engine", verb))
    return Outcome(page.texts("said.engine"))
