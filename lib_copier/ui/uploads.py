"""Pictures that a browser or the host sent: into the project by its recipe, out when nothing names them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_copier.errors import InputError
from lib_copier.steps.intake import PICTURES
from lib_copier.steps.project import Project
from lib_copier.txt2img.infotext import PNG_KEY

if TYPE_CHECKING:
    from PIL import Image

MOST_BYTES = 1 << 30
"""Of a project's own pictures; each that the recipe names is one file."""


def take(
    project: Project,
    image: Image.Image,
    name: str,
    values: Callable[[str], Mapping[str, Any]],
    infotext: str = "",
) -> None:
    """Change the settings that `values` makes of the picture's path; the project then holds its copy.

    What the recipe no longer names goes. `name` becomes a part of the copy's name; `infotext`, which tells
    how the picture was made, goes into the copy.

    Raises
    ------
    InputError
        Where the project holds too much already, or the settings cannot be used: nothing is kept then.
    """
    from lib_copier.image.files import write_png

    project.forget_pictures()
    if _size(project.folder / PICTURES) > MOST_BYTES:
        raise InputError(
            f"The project holds more than {MOST_BYTES >> 30} GiB of pictures.",
            "Take origins or edits out that you do not need.",
        )
    with tempfile.TemporaryDirectory(prefix="copier-lora-") as place:
        path = Path(place) / f"{name}.png"
        write_png(image, path, {PNG_KEY: infotext} if infotext else None)
        project.set(values(str(path)))
    project.forget_pictures()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*"))
