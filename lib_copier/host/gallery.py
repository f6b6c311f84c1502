"""Takes a picture out of a host's gallery, whichever shape its gradio hands it over in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from lib_copier.errors import InputError
from lib_copier.files.disk import found_object
from lib_copier.image.files import read_picture


@dataclass(frozen=True)
class Infotexts:
    """What the host's hidden generation record says: a text a picture, and where grids end."""

    texts: tuple[str, ...] = ()
    first_picture: int = 0

    def of(self, number: int) -> str:
        """The infotext of a gallery's picture, or an empty text."""
        return self.texts[number] if number < len(self.texts) else ""


def read_infotexts(record: Any) -> Infotexts:
    """The host's generation record, a JSON text; anything else counts as none."""
    found = found_object(record) if isinstance(record, str) else {}
    texts = found.get("infotexts")
    first = found.get("index_of_first_image", 0)
    return Infotexts(
        tuple(str(text) for text in texts) if isinstance(texts, list) else (),
        first if isinstance(first, int) and first >= 0 else 0,
    )


def picture_number(gallery: Any, texts: Infotexts, index: Any) -> int:
    """Which picture is meant: the chosen one, or the first that is no grid.

    Raises
    ------
    InputError
        Where the gallery is empty.
    """
    if not isinstance(gallery, Sequence) or isinstance(gallery, str) or not gallery:
        raise InputError("There is no picture to send.", "Generate one first.")
    if isinstance(index, int) and not isinstance(index, bool) and 0 < index < len(gallery):
        return index
    return min(texts.first_picture, len(gallery) - 1)


def open_picture(item: Any, was_shown: Callable[[str], bool]) -> Image.Image:
    """A gallery item as an RGB picture.

    Takes a picture, a file's path, gradio 3's ``{"name": PATH, "is_file": true}``, and any of these in a
    pair with a caption. A path is opened only where `was_shown` knows it.

    Raises
    ------
    InputError
        Where the item is none of these, the host never showed the file, or it is no picture.
    """
    if isinstance(item, (list, tuple)):
        item = item[0] if item else None
    if isinstance(item, Image.Image):
        return ImageOps.exif_transpose(item).convert("RGB")
    name = item.get("name") if isinstance(item, dict) else item
    if not isinstance(name, str) or not name or not was_shown(name):
        raise InputError("That picture is not one the WebUI shows.", "Generate it again, then send it.")
    opened = read_picture(Path(name.partition("?")[0]))
    opened.image.info.update(opened.text)
    return opened.image
