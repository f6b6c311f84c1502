"""What a browser sends: read within limits, never believed; uploads travel in it, so no path is taken."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from lib_copier.errors import InputError
from lib_copier.files.disk import parse_json

Details = Mapping[str, Any]

UPLOAD_LIMIT = 48 << 20
"""Bytes of one upload; larger files are refused by the browser and again by the server."""
LONGEST_REQUEST = 80 << 20
"""Bytes of a request with the largest upload in it."""
LONGEST_NAME = 120
_AGAIN = "Reload the page and try again."


def read_request(request: Any) -> Details:
    """The object that a request is.

    Raises
    ------
    InputError
        Where it is none, or one that no page of ours would send.
    """
    found = None
    if isinstance(request, str) and len(request) <= LONGEST_REQUEST:
        found = parse_json(request, "The request", limit=LONGEST_REQUEST, advice=_AGAIN)
    if not isinstance(found, dict):
        raise InputError("The request is none of this page.", _AGAIN)
    return found


def text_of(details: Details, key: str, longest: int = 10_000) -> str:
    """A text out of a request.

    Raises
    ------
    InputError
        Where there is none, or it is longer than anybody would type.
    """
    found = details.get(key)
    if not isinstance(found, str) or len(found) > longest:
        raise InputError(f"The request has no usable {key}.", _AGAIN)
    return found


def values_of(details: Details) -> Details:
    """The fields of a form that was sent as a whole."""
    found = details.get("values")
    return found if isinstance(found, Mapping) else {}


def uploaded(details: Details) -> tuple[str, bytes]:
    """Bare name and bytes of an uploaded file.

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
    return bare[:LONGEST_NAME], content
