"""Setting up and removing the engines."""

from __future__ import annotations

from pathlib import Path

from lib_copier.errors import InputError
from lib_copier.ui import built_in
from lib_copier.ui.acts.act import Outcome, require_free_paths
from lib_copier.ui.page import Page
from lib_copier.ui.request import Details, text_of, values_of

_ENGINE = ("-m", "lib_copier", "engine")


def engine(page: Page, details: Details) -> Outcome:
    """Queue the set-up or the removal; its log stands on the card."""
    verb = text_of(details, "verb")
    if verb not in ("set_up", "install", "remove"):
        raise InputError("The engines can be set up or removed.", "Reload the page and try again.")
    if not page.host.info.may_install:
        raise InputError(
            "Nothing is installed while others can reach this page.",
            "Start it for this machine alone, or set it up from the command line.",
        )
    wheels, python = _wheels(page, details), _python(details)
    if verb == "set_up":
        key, arguments = "built-in", built_in.setup_arguments(wheels, python)
    else:
        key, arguments = "engine", (*_ENGINE, verb, *(("--wheels", wheels) if wheels else ()))
    page.workshop.queue.submit(key, page.texts(f"engine.{verb}"), arguments, needs_gpu=False)
    return Outcome(page.texts("said.engine"))


def _wheels(page: Page, details: Details) -> str:
    """The folder of wheels that the form names; empty for none."""
    named = str(values_of(details).get("wheels") or "").strip()
    if not named:
        return ""
    require_free_paths(page)
    folder = Path(named).expanduser()
    if len(named) > 4096 or not folder.is_absolute() or not next(folder.glob("*.whl"), None):
        raise InputError(f"There are no wheels in {named[:200]}.", "Name a folder that holds *.whl files.")
    return str(folder)


def _python(details: Details) -> str:
    """The Python that the form names, one of those that were found; empty for this one."""
    named = str(values_of(details).get("python") or "")
    if named and named not in {str(one.python) for one in built_in.other_pythons()}:
        raise InputError("That Python is not on this machine any more.", "Reload the page and try again.")
    return named
