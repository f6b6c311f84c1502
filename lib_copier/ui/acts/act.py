"""What an act gets and gives, and the checks that every one of them needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lib_copier.errors import InputError
from lib_copier.recipe.model import Edit, Origin
from lib_copier.ui.page import Page
from lib_copier.ui.view import View

MOST_ITEMS = 100


@dataclass(frozen=True)
class Outcome:
    """What becomes of a request besides the page drawn anew."""

    message: str = ""
    """Said in a notice; empty for none."""
    is_error: bool = False
    cause: str = ""
    """Which of the page's standing causes the message tells of: it goes when that is mended."""
    field: str = ""
    """The setting that the message speaks of: the browser opens, marks and shows its field."""
    view: View | None = None
    """Where the browser goes; None: it stays."""
    is_at_top: bool = False
    live: tuple[Any, ...] | None = None
    """An edit's effects to show without storing them."""


def the_origin(page: Page) -> Origin:
    """The shown origin, or an InputError where there is none."""
    found = page.origin if page.desk is not None else None
    if found is None:
        raise InputError("There is no origin yet.", "Add one on the origin panel.")
    return found


def the_edit(page: Page) -> Edit:
    """The shown edit, or an InputError where there is none."""
    found = page.edit if page.desk is not None else None
    if found is None:
        raise InputError("There is no edit yet.", "Add one on the edit panel.")
    return found


def require_room(items: Sequence[Any], what: str) -> None:
    """Refuse one more of what a person could not look through any more."""
    if len(items) >= MOST_ITEMS:
        raise InputError(f"There are {len(items)} {what} already.", "Take one out, or make another project.")


def require_free_paths(page: Page) -> None:
    """Refuse a path of somebody's own where others could name one too."""
    if not page.host.info.may_choose_paths:
        raise InputError(
            "Free paths are switched off while others can reach this page.",
            "Start it for this machine alone.",
        )


def require_project(page: Page) -> None:
    """Refuse what needs an opened project where none is open."""
    if page.desk is None:
        raise InputError("No project is open.", "Make or open one first.")


def host_checkpoint(page: Page, given: str) -> str:
    """A checkpoint's path, taken only where the host lists it.

    Raises
    ------
    InputError
        Where the host does not know it.
    """
    if any(str(one.path) == given for one in page.host.checkpoints()):
        return given
    raise InputError(f"There is no checkpoint {given or '(none)'} here.", "Choose one from the list.")
