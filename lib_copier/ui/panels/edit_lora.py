"""The edit LoRA panel: what the edit changes, learned on a model that can do nothing else."""

from __future__ import annotations

from lib_copier.markup.html import Html, join, tag
from lib_copier.ui import parts
from lib_copier.ui.page import Page
from lib_copier.ui.panels.copier import trained


def render(page: Page) -> Html:
    """Settings of this edit, progress, result; in method B the copier of the edited picture."""
    steps = page.steps_of_panel("edit_lora", shown_only=True)
    method = page.opened.recipe.method
    note = None
    if method != "copier":
        note = tag("p", page.texts(f"edit_lora.by_{method}"), class_="cl-quiet")
    own = None if method == "difference" else join(page.fields("edit_lora"), page.folded_fields("edit_lora"))
    settings = join(note, own)
    return join(
        parts.head(page, "edit_lora", steps),
        parts.edit_picker(page),
        parts.origin_picker(page),
        parts.reasons(page, steps),
        parts.running(page, steps),
        join(*(trained(page, step) for step in steps)),
        page.block("settings", settings),
        parts.details(page, steps),
        parts.run_buttons(page, steps, label=page.texts("edit_lora.run")),
    )
