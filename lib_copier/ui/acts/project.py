"""Making, opening and copying projects."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lib_copier.errors import InputError
from lib_copier.files.names import name_fault, normal_name
from lib_copier.recipe.presets import PRESETS
from lib_copier.steps import project_folder
from lib_copier.steps.project import Project
from lib_copier.ui import starter
from lib_copier.ui.acts.act import Outcome, host_checkpoint, require_project
from lib_copier.ui.acts.recipe import publish_into
from lib_copier.ui.desk import queue_key
from lib_copier.ui.page import Page
from lib_copier.ui.request import Details, text_of, uploaded, values_of
from lib_copier.ui.view import View

_LARGEST_LORA = 8 << 30
_MOST_NAMED = 12


def create(page: Page, details: Details) -> Outcome:
    """A new project out of the form; it can be run as it stands."""
    values = values_of(details)
    effect, preset = text_of(values, "effect"), text_of(values, "preset")
    method = text_of(values, "method")
    if effect not in (*starter.EFFECTS, starter.OWN_PICTURE) or preset not in PRESETS:
        raise InputError("The form names no such effect or preset.", "Reload the page and try again.")
    settings = starter.first_settings(
        page.host,
        checkpoint=host_checkpoint(page, text_of(values, "checkpoint")),
        method=method,
        preset=preset,
        effect=effect,
        prompt=text_of(values, "prompt"),
    )
    desk = page.workshop.create(text_of(values, "name").strip(), settings)
    if page.host.info.is_webui:
        # Whoever makes a slider inside the WebUI wants to use it there.
        publish_into(desk.project, page.host, str(page.host.lora_dirs()[0]))
    view = View(project=desk.folder_name, panel="origin")
    return Outcome(page.texts("said.created", name=desk.folder_name), view=view, is_at_top=True)


def open_project(page: Page, details: Details) -> Outcome:
    """Open a project by its name."""
    name = text_of(details, "name")
    if page.workshop.desk(name) is None:
        raise InputError(f"There is no project {name}.", "Choose one from the list.")
    return Outcome(view=View(project=name, panel="project"), is_at_top=True)


def close(page: Page, details: Details) -> Outcome:
    """Go back to the list of projects; what runs goes on."""
    if page.desk is not None:
        page.desk.project.forget_pictures()
    return Outcome(view=View(), is_at_top=True)


def duplicate(page: Page, details: Details) -> Outcome:
    """Copy the opened project with all that was made of it, and open the copy."""
    require_project(page)
    name = text_of(values_of(details), "name").strip()
    made = page.opened.project.duplicate(page.workshop.folder_of(name))
    return Outcome(page.texts("said.created", name=made.folder.name), view=View(project=made.folder.name))


def rename(page: Page, details: Details) -> Outcome:
    """Give the opened project another name."""
    require_project(page)
    _require_rest(page, page.opened.project.folder)
    made = project_folder.rename(page.opened.project, text_of(values_of(details), "name"))
    name = made.folder.name
    return Outcome(page.texts("said.renamed", name=name), view=page.view.at(project=name))


def delete(page: Page, details: Details) -> Outcome:
    """Delete a project of the list, whether it can be opened or not."""
    name = text_of(details, "name")
    folder = page.workshop.folder_of(name)
    _require_rest(page, folder)
    project_folder.delete(folder)
    return Outcome(page.texts("said.deleted", name=name), view=View(), is_at_top=True)


def _require_rest(page: Page, folder: Path) -> None:
    """Refuse where work waits or runs that would write into the project."""
    workshop, key = page.workshop, queue_key(folder)
    if any(
        work is not None and work.is_open for work in (workshop.queue.find(key), workshop.tasks.find(key))
    ):
        raise InputError(f"{folder.name} has work that waits or runs.", "Stop it first.")


def from_lora(page: Page, details: Details) -> Outcome:
    """A project with the recipe that a LoRA carries; of the file only its beginning was sent."""
    name, content = uploaded(details)
    size = details.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not len(content) <= size <= _LARGEST_LORA:
        raise InputError("The file arrived damaged.", "Send it again.")
    current = page.host.current_checkpoint()
    stem = normal_name(Path(name).stem[:40])
    folder = page.workshop.folder_of(page.workshop.free_name("from-lora" if name_fault(stem) else stem))
    page.workshop.projects_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        lora = Path(temporary) / "lora.safetensors"
        with lora.open("wb") as file:
            file.write(content)
            # The weights were not sent; a hole of their size stands for them, which costs no disk.
            file.truncate(size)
        made = Project.from_lora(folder, lora, str(current.path) if current is not None else "")
    said = page.texts("said.created", name=made.folder.name)
    if made.forgotten:
        said += " " + page.texts(
            "said.forgotten",
            named=page.texts("said.and").join(map(page.texts.said, made.forgotten[:_MOST_NAMED])),
        )
    return Outcome(said, view=View(project=made.folder.name))


def prune(page: Page, details: Details) -> Outcome:
    """Delete what the recipe does not use any more."""
    require_project(page)
    count, freed = page.opened.project.prune()
    return Outcome(page.texts("said.pruned", count=count, size=f"{freed / 1e6:.0f}"))


def refresh_checkpoints(page: Page, details: Details) -> Outcome:
    """Let the host look for new checkpoints."""
    page.host.refresh_checkpoints()
    return Outcome()
