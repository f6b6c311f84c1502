"""Setting up and removing the engines."""

from __future__ import annotations

from lib_copier.errors import InputError
from lib_copier.ui import built_in
from lib_copier.ui.acts.act import Outcome
from lib_copier.ui.page import Page
from lib_copier.ui.request import Details, text_of

_JOBS = {
    "set_up": ("built-in", built_in.SETUP_ARGUMENTS),
    "install": ("engine", ("-m", "lib_copier", "engine", "install")),
    "remove": ("engine", ("-m", "lib_copier", "engine", "remove")),
}
"""Queue key and arguments of every verb."""


def engine(page: Page, details: Details) -> Outcome:
    """Queue the set-up or the removal; its log stands on the card."""
    verb = text_of(details, "verb")
    if verb not in _JOBS:
        raise InputError("The engines can be set up or removed.", "Reload the page and try again.")
    if not page.host.info.may_install:
        raise InputError(
            "Nothing is installed while others can reach this page.",
            "Start it for this machine alone, or set it up from the command line.",
        )
    key, arguments = _JOBS[verb]
    page.workshop.queue.submit(key, page.texts(f"engine.{verb}"), arguments, needs_gpu=False)
    return Outcome(page.texts("said.engine"))
