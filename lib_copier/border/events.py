"""What a child process tells its parent: one JSON object a line on stdout, nothing else there.

Every line has an ``event``:

``progress``  ``step``, ``total``; a trainer adds ``loss``, ``lr``, ``s_per_step``, ``eta`` (seconds)
``loading``   what the command needs is imported; it reads its models until the first ``progress``
``log``       ``text``: a sentence for the log
``sample``    ``path``: a picture made underway; ``step``
``error``     ``what``, ``advice``, ``exit_code``: why the child ends
``done``      the result, as the command documents it
"""

from __future__ import annotations

import sys
from typing import Any, TextIO

from lib_copier.files.disk import found_object, json_text


def emit(event: str, *, stream: TextIO | None = None, **fields: Any) -> None:
    """Write one event line and flush it, so that the parent sees it at once."""
    out = sys.stdout if stream is None else stream
    out.write(json_text({"event": event, **fields}, indent=None))
    out.flush()


def parse(line: str | bytes) -> dict[str, Any] | None:
    """The event in a line of a child's output, or None where the line is something else."""
    text = line.strip()
    found = found_object(text) if text[:1] in ("{", b"{") else {}
    return found if isinstance(found.get("event"), str) else None
