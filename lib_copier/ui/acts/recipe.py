"""Settings: one value at a time, under the address that the option's scope gives."""

from __future__ import annotations

from typing import Any

from lib_copier.errors import InputError
from lib_copier.host.base import Host
from lib_copier.host.lora_folder import unique_stem
from lib_copier.recipe.options import OPTIONS
from lib_copier.steps.given import take_in_given
from lib_copier.steps.project import Project
from lib_copier.steps.publish import published_name
from lib_copier.ui.acts.act import (
    Outcome,
    host_checkpoint,
    require_free_paths,
    require_project,
    the_edit,
    the_origin,
)
from lib_copier.ui.page import Page
from lib_copier.ui.request import Details, text_of

_PRESET = "preset"
_LORA_FOLDER = "publish.folder"
_FREE_PATHS = frozenset({"project.vae", "base.folder", "caption.tagger_model"})


def set_value(page: Page, details: Details) -> Outcome:
    """Store one setting."""
    require_project(page)
    key, value = text_of(details, "key"), details.get("value")
    if not isinstance(value, (str, bool, int, float)) or (isinstance(value, str) and len(value) > 20_000):
        raise InputError(f"The request has no usable value for {key}.", "Reload the page and try again.")
    if key == _LORA_FOLDER:
        # Never a path from a browser: either the host's own folder or none.
        value = str(page.host.lora_dirs()[0]) if value is True else ""
        if value and not page.host.info.is_webui:
            page.host.lora_dirs()[0].mkdir(parents=True, exist_ok=True)
        publish_into(page.opened.project, page.host, str(value))
        return Outcome()
    if key == _PRESET:
        return _stored(page, _PRESET, value)
    option = OPTIONS.get(key)
    if option is None:
        raise InputError(f"{key} is no setting.", "Reload the page and try again.")
    if option.kind == "path":
        value = _allowed_path(page, key, str(value))
    elif option.kind == "paths":
        require_free_paths(page)
    return _stored(page, _address(page, key), value)


def publish_into(project: Project, host: Host, folder: str) -> None:
    """Publish there from now on; edits whose names are taken there by another LoRA get names of their own."""
    recipe, values = project.recipe, {_LORA_FOLDER: folder}
    for edit in recipe.edits if folder and not recipe.get(_LORA_FOLDER) else ():
        name = published_name(recipe, edit)
        free = unique_stem(name, host.lora_dirs())
        if free != name:
            values[f"edits.{edit.name}.publish.name"] = free
    project.set(values)


def unset(page: Page, details: Details) -> Outcome:
    """Give an edit's own value back: it follows the common one again."""
    require_project(page)
    key = text_of(details, "key")
    if key not in OPTIONS or OPTIONS[key].scope != "edit":
        raise InputError(f"{key} is no setting of an edit.", "Reload the page and try again.")
    return _stored(page, f"edits.{the_edit(page).name}.{key}", None)


def _stored(page: Page, address: str, value: Any) -> Outcome:
    project = page.opened.project.set({address: value})
    if address.startswith("origins."):
        take_in_given(project, the_origin(page).name)
    return Outcome()


def _address(page: Page, key: str) -> str:
    scope = OPTIONS[key].scope
    if scope == "origin":
        return f"origins.{the_origin(page).name}.{OPTIONS[key].name}"
    return f"edits.{the_edit(page).name}.{key}" if scope == "edit" else key


def _allowed_path(page: Page, key: str, value: str) -> str:
    """A path that this host lets people choose."""
    if not value:
        return ""
    if key in {"project.checkpoint", "sweep.checkpoint"}:
        return host_checkpoint(page, value)
    if key not in _FREE_PATHS:
        raise InputError(f"{key} is not set by a path here.", "Upload the picture instead.")
    require_free_paths(page)
    return value
