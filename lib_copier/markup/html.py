"""HTML that cannot be broken out of, and figures as people read them, for page, report and notices."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Union

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_RAW = frozenset({"script", "style"})
"""Elements whose content no escaping makes safe: they stand empty here, and name a file."""
_ADDRESSES = frozenset({"href", "src", "action", "formaction", "poster"})
_ADDRESS = re.compile(r"(https?:|data:image/(png|webp|jpeg);base64,|[^:]*([/?#]|$))", re.IGNORECASE)
"""An address of another scheme (``javascript:`` …) is left out; one without a scheme is the page's own."""
_UNREADABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Html(str):
    """Markup that `tag` made; only such text reaches a page unescaped."""

    __slots__ = ()


Child = Union[str, Html, None, bool, Iterable["Child"]]  # noqa: UP007 - a name in it is not yet known
Attribute = Union[str, int, float, bool, None]  # noqa: UP007 - as its neighbour


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """One element. ``class_="x"`` gives ``class``, ``data_key=…`` gives ``data-key``.

    True gives a bare attribute; None and False leave it out. Children may be nested lists; None and
    False are left out, every plain text is escaped. ValueError for a name that is no name, for an
    event's attribute, and for content of scripts and styles.
    """
    if not _NAME.fullmatch(name) or (name.lower() in _RAW and children):
        raise ValueError(f"{name!r} is no element that a page is built of")
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Children one after the other, escaped where they are plain text."""
    return Html("".join(_child(child) for child in children))


def element_id(*parts: str) -> str:
    """The id of an element of ours: every id on the page comes from here."""
    words = [word for part in parts for word in part.replace("/", " ").replace(".", " ").split()]
    return "-".join(["copier_lora", *words])


def duration(seconds: float) -> str:
    """A time for reading: ``8.4 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if round(seconds, 1) < 60:
        return f"{max(seconds, 0.0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest:02d} s"


def signed(weight: float) -> str:
    """A weight with its sign, as −0.5, 0 or +1."""
    return f"{weight:+g}".replace("-", "\N{MINUS SIGN}") if weight else "0"


def _child(child: Child) -> str:
    if child is None or isinstance(child, bool):
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return _escaped(child)
    return "".join(_child(one) for one in child)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if not _NAME.fullmatch(name) or name.lower().startswith("on"):
        raise ValueError(f"{name!r} is no attribute that a page is built of")
    if value is True:
        return f" {name}"
    if name in _ADDRESSES and not _ADDRESS.match(str(value).strip()):
        return ""
    return f' {name}="{_escaped(str(value))}"'


def _escaped(text: str) -> str:
    """Text as markup; what no page can hold (control characters, halves of a pair) becomes a mark."""
    return escape(_UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", text))
