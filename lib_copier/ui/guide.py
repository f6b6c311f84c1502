"""Where the walk-through is read: at the address that the extension came from, else in its folder."""

from __future__ import annotations

from configparser import ConfigParser, Error
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from lib_copier.engines.locate import root
from lib_copier.markup.html import Html, tag
from lib_copier.ui.texts import Texts

_FILES = {"en": "docs/walk-through.md", "ja": "docs/walk-through.ja.md"}


def guide_link(texts: Texts) -> Html:
    """A link to the walk-through in the page's language, or the words where its file lies."""
    name = _FILES[texts.language]
    home = source_address(root())
    if home:
        link = {"href": f"{home}/blob/HEAD/{name}", "target": "_blank", "rel": "noopener"}
        return tag("p", tag("a", texts("guide"), class_="cl-link", **link))
    return tag("p", texts("guide.file"), " ", tag("code", str(root() / name)), class_="cl-quiet")


@lru_cache(maxsize=4)
def source_address(folder: Path) -> str:
    """The web address that a clone came from, without whatever signs in there; empty where there is none."""
    config = ConfigParser(strict=False, interpolation=None)
    try:
        config.read(folder / ".git" / "config", encoding="utf-8")
        found = urlsplit(config.get('remote "origin"', "url", fallback=""))
        host = found.hostname
    except (Error, OSError, ValueError):
        return ""
    if found.scheme != "https" or not host:
        return ""
    return f"https://{host}{found.path.removesuffix('/').removesuffix('.git')}"
