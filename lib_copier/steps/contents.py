"""What is in the files that a recipe names, by their headers: a fault is told when a file is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from lib_copier.errors import CopierError, InputError
from lib_copier.files.disk import is_there
from lib_copier.recipe.model import Recipe
from lib_copier.settings.option import split_weighted
from lib_copier.steps.folder import pictures_in

_MULTIPLE = 8
_MOST_TOLD = 3
"""Pictures of one folder that are named, where more cannot be used."""


def content_faults(recipe: Recipe, folder: Path) -> Iterator[tuple[str, str]]:
    """The address of each named file that cannot be used, and why, a few words.

    Nothing but headers is read, and those of a file that stays as it is only once. That a file is missing
    is `recipe.check`'s to tell.
    """
    sizes: dict[str, Any] = {
        origin.name: (int(str(origin.get("width"))), int(str(origin.get("height"))))
        for origin in recipe.origins
    }
    for address, file in named_files(recipe).items():
        kind, rest = address.split(".", 1)
        if address == "base.folder":
            yield from ((address, f"{address}: {fault}") for fault in _folder_faults(folder / file))
            continue
        found, fault = _looked(_size if kind in ("origins", "edits") else _lora, folder / file)
        if kind == "origins":
            sizes[rest.removesuffix(".file")] = found
        elif kind == "edits" and found and (wanted := sizes.get(rest.partition(".files.")[2])):
            fault = "" if found == wanted else _unlike(file, found, wanted)
        if fault:
            yield address, f"{address}: {fault}"


def file_fault(path: Path, *, is_lora: bool) -> str:
    """Why a picture or a LoRA cannot be used, as far as its header tells; empty where it can."""
    return _looked(_lora if is_lora else _size, path)[1]


def named_files(recipe: Recipe) -> dict[str, str]:
    """Every file and folder that `content_faults` looks into, by its address; origins come first."""
    found = {
        f"origins.{origin.name}.file": str(origin.get("file") or "")
        for origin in recipe.origins
        if origin.is_given
    }
    found |= {f"edits.{edit.name}.files.{name}": file for edit in recipe.edits for name, file in edit.files}
    for number, text in enumerate(recipe.texts("base.loras"), start=1):
        with suppress(ValueError):
            found[f"base.loras {number}"] = split_weighted(text)[0]
    found |= {f"project.loras {number}": file for number, file in enumerate(recipe.texts("project.loras"), 1)}
    if recipe.get("base.train_style"):
        found["base.folder"] = str(recipe.get("base.folder") or "")
    return {address: file for address, file in found.items() if file}


def _unlike(file: str, found: tuple[int, int], wanted: tuple[int, int]) -> str:
    return (
        f"{file} is {found[0]}x{found[1]}, its origin {wanted[0]}x{wanted[1]}: edit the origin without "
        "cropping or scaling"
    )


def _looked(look: Callable[[Path], Any], path: Path) -> tuple[Any, str]:
    """What `look` finds in a file, and why it cannot be used; neither where there is no such file."""
    if not is_there(path):
        return None, ""
    state = path.stat()
    return _remembered(look, path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _remembered(look: Callable[[Path], Any], path: Path, _changed: int, _bytes: int) -> tuple[Any, str]:
    try:
        return look(path), ""
    except CopierError as error:
        return None, error.what.rstrip(".")


def _size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, as the steps crop the picture."""
    # Here, not above: Pillow is not needed to read a recipe.
    from lib_copier.image.files import MIN_SIDE, picture_size

    width, height = picture_size(path)
    if min(width, height) < MIN_SIDE:
        raise InputError(f"The picture {path} is {width}x{height}, smaller than {MIN_SIDE} pixels on a side.")
    return width - width % _MULTIPLE, height - height % _MULTIPLE


def _lora(path: Path) -> None:
    from lib_copier.model_file.header import read_header

    if not read_header(path).tensors:
        raise InputError(f"{path} holds no tensors.")


def _folder_faults(folder: Path) -> Iterator[str]:
    try:
        pictures = pictures_in(folder)[0] if is_there(folder, as_folder=True) else ()
    except CopierError as error:
        yield error.what.rstrip(".")
        return
    found = [fault for picture in pictures if (fault := _looked(_size, picture.path)[1])]
    yield from found[:_MOST_TOLD]
    if len(found) > _MOST_TOLD:
        yield f"{len(found) - _MOST_TOLD} more pictures of {folder} cannot be used"
