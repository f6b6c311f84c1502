"""Builds HTML that cannot be broken out of: text is escaped unless it was built here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Union

_VOID = frozenset({"br", "hr", "img", "input"})


class Html(str):
    """Markup that `tag` made; only such text reaches the page unescaped."""

    __slots__ = ()


Child = Union[str, Html, None, bool, Iterable["Child"]]  # noqa: UP007 - a name in it is not yet known
Attribute = Union[str, int, float, bool, None]  # noqa: UP007 - as its neighbour


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """One element. ``class_="x"`` gives ``class``, ``data_key=…`` gives ``data-key``.

    True gives a bare attribute; None and False leave it out. Children may be nested lists; None and
    False are left out, every plain text is escaped.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Children one after the other, escaped where they are plain text."""
    return Html("".join(_child(child) for child in children))


def _child(child: Child) -> str:
    if child is None or isinstance(child, bool):
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return escape(child)
    return "".join(_child(one) for one in child)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def element_id(*parts: str) -> str:
    """The id of an element of ours: every id on the page comes from here."""
    words = [word for part in parts for word in part.replace("/", " ").replace(".", " ").split()]
    return "-".join(["copier_lora", *words])
