"""Files that a recipe names come into the project, so that its folder can be copied as a whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lib_copier.errors import FaultsError, InputError
from lib_copier.files.disk import copy_file, is_there
from lib_copier.graph.digest import sha256_of
from lib_copier.recipe.model import Recipe
from lib_copier.settings.option import Value, split_weighted
from lib_copier.steps.contents import file_fault
from lib_copier.steps.style_folder import STYLE, files_to_take
from lib_copier.txt2img.pictures import lora_in
from lib_copier.txt2img.prompt import networks

PICTURES = "pictures"
LORAS = "loras"
_MODELS = ("project.checkpoint", "project.vae", "sweep.checkpoint")


def with_files_inside(
    recipe: Recipe, project: Path, lora_dirs: Sequence[Path] = (), before: Recipe | None = None
) -> Recipe:
    """The recipe with every picture and LoRA copied in and named by its place in the project.

    Files inside already are left alone. The checkpoint, the VAE and target folders stay outside; models
    typed with a path from the working directory are named by their whole path. LoRAs that prompts name are
    looked for in `lora_dirs`, the host's folders of LoRAs, and where the recipe's own are published.

    A folder of training pictures is looked at where it is another than `before`.

    Raises
    ------
    FaultsError
        Every named file that is not there, or cannot be used as far as its header tells.
    """
    intake = _Intake(project)
    for origin in recipe.origins:
        if origin.is_given and origin.get("file"):
            recipe = recipe.with_origin(origin.replaced(file=intake.file(str(origin.get("file")), PICTURES)))
    for edit in recipe.edits:
        files = tuple((origin, intake.file(file, PICTURES)) for origin, file in edit.files)
        recipe = recipe.with_edit(replace(edit, files=files))
    loras = tuple(intake.weighted(text) for text in recipe.texts("base.loras"))
    named = (*recipe.texts("project.loras"), *_named_in_prompts(recipe, lora_dirs))
    folder, known = str(recipe.get("base.folder") or ""), before and before.get("base.folder")
    for edit in recipe.edits:
        own = tuple((key, _whole_path(value) if key in _MODELS else value) for key, value in edit.settings)
        recipe = recipe.with_edit(replace(edit, settings=own))
    models = {key: _whole_path(recipe.get(key)) for key in _MODELS}
    recipe = recipe.with_settings(
        {
            "base.loras": loras,
            "project.loras": tuple(map(intake.named, named)),
            "base.folder": intake.folder(folder) if folder and folder != known else folder,
            **models,
        }
    )
    if intake.faults:
        raise FaultsError("files", intake.faults, "Nothing was changed.")
    return recipe


def copy_taken_in(source: Path, target: Path) -> None:
    """Give a new folder all that another one has taken in, under the same names: a recipe goes along."""
    for home in (PICTURES, LORAS, STYLE, "uploads"):
        if (source / home).is_dir():
            shutil.copytree(source / home, target / home, dirs_exist_ok=True)


def forget_unnamed(recipe: Recipe, project: Path) -> None:
    """Delete the project's copies of pictures that its recipe does not name any more."""
    named = {str(origin.get("file")) for origin in recipe.origins}
    named |= {path for edit in recipe.edits for _origin, path in edit.files}
    kept = {(project / path).resolve() for path in named}
    # Uploads lay in a folder of their own once.
    for path in (one for home in (PICTURES, "uploads") for one in (project / home).glob("*")):
        if path.is_file() and path.resolve() not in kept:
            path.unlink(missing_ok=True)


def _named_in_prompts(recipe: Recipe, lora_dirs: Sequence[Path]) -> Iterator[str]:
    """Files of the LoRAs that prompts name and the recipe lacks, as far as they are found."""
    prompts = [str(origin.get("prompt")) for origin in recipe.origins if not origin.is_given]
    prompts += recipe.texts("check.prompts")
    prompts += [text for edit in (None, *recipe.edits) for text in recipe.texts("sweep.prompts", edit)]
    names = dict.fromkeys(tag.name for text in prompts for tag in networks(text)[1] if not tag.fault)
    published = str(recipe.get("publish.folder") or "")
    folders = [*lora_dirs, *([Path(published)] if published else [])]
    for name in names:
        path = None if recipe.lora_named(name) else lora_in(folders, name)
        if path is not None:
            yield str(path)


def _whole_path(given: Value) -> Value:
    path = Path(str(given or ""))
    return str(path.absolute()) if given and not path.is_absolute() and is_there(path) else given


class _Intake:
    """Copies files in under names told by their content: the same file twice is one copy."""

    def __init__(self, project: Path) -> None:
        self.faults: list[str] = []
        self._project = project

    def file(self, given: str, home: str, *, keeps_name: bool = False) -> str:
        path = self._outside(given)
        if path is None:
            return given
        if not is_there(path):
            # A project whose recipe came from a LoRA names files by bare names; `check` tells of them.
            if path.is_absolute() or len(Path(given).parts) > 1:
                self.faults.append(f"{given} does not exist")
            return given
        if fault := file_fault(path, is_lora=home == LORAS):
            self.faults.append(fault)
            return given
        told = sha256_of(path)[:10]
        name = (
            f"{home}/{told}/{path.name}"
            if keeps_name
            else f"{home}/{path.stem[:40]}-{told}{path.suffix.lower()}"
        )
        if not (self._project / name).is_file():
            (self._project / name).parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, self._project / name)
        return name

    def weighted(self, text: str) -> str:
        try:
            path, weight = split_weighted(text)
        except ValueError as error:
            self.faults.append(str(error))
            return text
        return f"{self.file(path, LORAS)}:{weight:g}"

    def named(self, given: str) -> str:
        """A LoRA under its own name, which prompts know it by."""
        return self.file(given, LORAS, keeps_name=True)

    def folder(self, given: str) -> str:
        """A folder of training pictures; the run copies it in, where nobody waits for it."""
        parts = Path(given).parts
        if parts[:1] == (STYLE,) and ".." not in parts and is_there(self._project / given, as_folder=True):
            return given
        try:
            files_to_take(Path(given), self._project)
        except InputError as error:
            self.faults.append(error.what.removesuffix("."))
            return given
        return str(Path(given).resolve())

    def _outside(self, given: str) -> Path | None:
        """The path that was given, where it lies outside; None for what is inside already."""
        path, inside = Path(given), self._project / given
        if not is_there(path) and not is_there(inside):
            return path
        is_inside = inside.resolve().is_relative_to(self._project.resolve())
        if is_inside and not path.is_absolute() and is_there(inside):
            return None
        return path.absolute()
