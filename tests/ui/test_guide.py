"""The page's way to the walk-through, and the walk-through itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lib_copier.engines.locate import root
from lib_copier.ui import guide
from lib_copier.ui.texts import LANGUAGES, Texts


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://example.org/who/copier-lora.git", "https://example.org/who/copier-lora"),
        ("https://name:secret@example.org/who/copier-lora", "https://example.org/who/copier-lora"),
        ("git@example.org:who/copier-lora.git", ""),
        ("file:///home/who/copier-lora", ""),
        ("javascript:alert(1)", ""),
        (None, ""),
    ],
)
def test_the_address_is_the_one_that_it_was_installed_from(tmp_path, url, address):
    (tmp_path / ".git").mkdir()
    if url is not None:
        (tmp_path / ".git" / "config").write_text(
            f'[core]\n\tbare = false\n[remote "origin"]\n\turl = {url}\n'
        )
    guide.source_address.cache_clear()
    assert guide.source_address(tmp_path) == address


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_panel_leads_to_a_walk_through_whose_pictures_are_there(ask, view, language):
    assert "walk-through" in ask("go", {**view, "panel": "copier"})["html"]["panel"]
    path = root() / guide._FILES[language]
    text = path.read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(pictures) == 10
    assert all((path.parent / one).is_file() for one in pictures)
    assert guide._FILES[language] in str(guide.guide_link(Texts(language)))
    for other in re.findall(r"\]\((walk-through[^)]*)\)", text):
        assert (path.parent / Path(other)).is_file()
