"""One file a panel: what the wizard shows of one part of the method."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from lib_copier.markup.html import Html
from lib_copier.ui.page import Page

Render = Callable[[Page], Html]


def panel(name: str) -> Render:
    """The function that draws a panel; its name is one of `view.PANELS`."""
    return import_module(f"lib_copier.ui.panels.{name}").render
