"""Origins whose picture is there already: taken in at once, by whoever has just chosen the picture."""

from __future__ import annotations

import shutil
from contextlib import suppress

from lib_copier.engines.choose import engine_version
from lib_copier.errors import CopierError
from lib_copier.files.disk import found_object
from lib_copier.graph.folders import Folders
from lib_copier.graph.runner import Runner
from lib_copier.graph.status import DONE
from lib_copier.graph.store import MANIFEST
from lib_copier.recipe.model import Origin
from lib_copier.steps.project import Project


def take_in_given(project: Project, name: str) -> None:
    """Do what needs no child of an origin with a given picture: the picture as steps read it, its caption.

    Without a wait: a run of the project that is under way, or the next one, does it otherwise. Why a picture
    cannot be taken in is the failed step's to tell.
    """
    origin = next((one for one in project.recipe.origins if one.name == name), Origin(name))
    if not (origin.is_given and origin.get("file")) or project.running() is not None:
        return
    steps = [f"origin/{name}"] + [f"caption/{name}"] * (origin.get("caption_source") != "tagger")
    if all(project.step_status(step).state == DONE for step in steps):
        return
    with suppress(CopierError):
        Runner(project.plan().up_to(steps), project.store, Folders(project.folder), engine_version).run()
    _forget_replaced(project)


def _forget_replaced(project: Project) -> None:
    """Delete what earlier given pictures were taken in as: whoever sends pictures must not fill the disk."""
    for folder in project.unused():
        made = found_object(folder / MANIFEST).get("described")
        inputs = made.get("inputs") if isinstance(made, dict) and made.get("kind") == "origin" else None
        if isinstance(inputs, list) and [one[0] for one in inputs if one] == ["picture"]:
            shutil.rmtree(folder)
