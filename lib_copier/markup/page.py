"""A whole page that needs nothing beside it: a report as one file that can be sent and kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from string import Template

from lib_copier.markup.html import Child, join, tag

_TEMPLATE = Path(__file__).with_name("page.html")


def whole_page(title: str, lead: str, facts: Iterable[str], sections: Child) -> str:
    """The page of these sections, in the look of all reports."""
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=join(title),
        lead=join(lead),
        facts=join(tag("li", fact) for fact in facts),
        sections=join(sections),
    )
