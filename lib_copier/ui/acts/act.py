"""What an act gets and gives, and the checks that every one of them needs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib_copier.errors import InputError
from lib_copier.recipe.model import Edit, Origin
from lib_copier.ui.door import UPLOAD_LIMIT
from lib_copier.ui.page import Page
from lib_copier.ui.view import View

Details = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What becomes of a request besides the page drawn anew."""

    message: str = ""
    """Said in a notice; empty for none."""
    is_error: bool = False
    view: View | None = None
    """Where the browser goes; None: it stays."""
    is_at_top: bool = False
    live: tuple[Any, ...] | None = None
    """An edit's effects to show without storing them."""


def text_of(details: Details, key: str, longest: int = 10_000) -> str:
    """A text out of a request.

    Raises
    ------
    InputError
        Where there is none, or it is longer than anybody would type.
    """
    found = details.get(key)
    if not isinstance(found, str) or len(found) > longest:
        raise InputError(f"The request has no usable {key}.", "Reload the page and try again.")
    return found


def values_of(details: Details) -> Mapping[str, Any]:
    """The fields of a form that was sent as a whole."""
    found = details.get("values")
    return found if isinstance(found, Mapping) else {}


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


def require_project(page: Page) -> None:
    """Refuse what needs an opened project where none is open."""
    if page.desk is None:
        raise InputError("No project is open.", "Make or open one first.")


def uploaded(details: Details) -> tuple[str, bytes]:
    """Bare name and bytes of an uploaded file. Uploads travel in the request: no path is ever taken.

    Raises
    ------
    InputError
        Where the upload is missing, broken or too large.
    """
    found = details.get("file")
    data = found.get("data") if isinstance(found, Mapping) else None
    if not isinstance(data, str) or len(data) > UPLOAD_LIMIT * 4 // 3 + 4:
        raise InputError(
            "No file arrived, or it is too large.", f"Send one of at most {UPLOAD_LIMIT >> 20} MiB."
        )
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("The file arrived damaged.", "Send it again.") from error
    name = found.get("name") if isinstance(found, Mapping) else ""
    bare = str(name or "file").replace("\\", "/").rpartition("/")[2]
    return bare[:120], content


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
