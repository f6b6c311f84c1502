"""Reads HTML as a browser would: elements with their attributes, and text."""

from __future__ import annotations

from html.parser import HTMLParser

QUOTING = frozenset({"pre", "code", "textarea", "figcaption"})
VOID = frozenset({"input", "img", "br"})


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.told = ""
        """What the page itself says: neither commands and logs nor what a person wrote."""
        self._quoted: list[str] = []

    def handle_starttag(self, name, attributes):
        found = dict(attributes)
        self.tags.append((name, found))
        is_quoted = name in QUOTING or found.get("translate") == "no"
        # Within a quotation its own kind is counted, so that the right end is found.
        if name not in VOID and (is_quoted or name in self._quoted[-1:]):
            self._quoted.append(name)
        for said in ("title", "aria-label", "placeholder", "data-confirm"):
            if not self._quoted:
                self.told += f" {found.get(said) or ''}"

    def handle_endtag(self, name):
        if self._quoted and name == self._quoted[-1]:
            self._quoted.pop()

    def handle_data(self, data):
        self.text += data
        if not self._quoted:
            self.told += data + " "


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader
