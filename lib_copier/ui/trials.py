"""What can be tried on the page: the LoRAs that a project has made so far, and where they are printed."""

from __future__ import annotations

from pathlib import Path

from lib_copier.steps.prompts import PROMPTS
from lib_copier.ui.page import Page

_KINDS = ("publish", "resize", "difference", "svd", "merge", "edit_lora", "copier")
"""Of steps that make a LoRA, what is nearest to the finished slider first."""


def choices(page: Page) -> dict[str, Path]:
    """The files of LoRAs by the step that made them; those of the shown edit first."""
    edit = page.edit
    found: dict[str, Path] = {}
    for kind in _KINDS:
        for step_id in page.opened.step_ids:
            path = page.opened.file(step_id) if step_id.partition("/")[0] == kind else None
            if path is not None and path.suffix == ".safetensors":
                found[step_id] = path
    is_shown = {step_id: edit is not None and step_id.split("/")[-1] == edit.name for step_id in found}
    return dict(sorted(found.items(), key=lambda item: not is_shown[item[0]]))


def device_of(page: Page) -> str:
    """The project's device, or the host's where the project leaves it open."""
    own = str(page.opened.recipe.get("project.device"))
    return page.host.device_for_child() if own == "auto" else own


def own_prompts(page: Page) -> tuple[str, ...]:
    """The prompts that the shown edit's sweep goes through, whether the recipe names them or not."""
    own = page.opened.recipe.get("sweep.prompts", page.edit)
    return own if isinstance(own, tuple) and own else PROMPTS
