"""A folder of training pictures, and the caption files beside them."""

from __future__ import annotations

import codecs
from pathlib import Path

from lib_copier.errors import InputError
from lib_copier.settings.training import Picture
from lib_copier.txt2img.prompt import caption_at_its_word

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
CAPTION_SUFFIXES = (".txt", ".caption")
"""The first that is there counts."""
_CAPTION_BYTES = 1 << 16
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def pictures_in(folder: Path) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """The pictures of a folder by name, with the captions beside them; and a note where some have none.

    Raises
    ------
    InputError
        Where the folder holds no picture, or a caption cannot be read.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"{folder} holds no picture.", f"It takes {', '.join(sorted(SUFFIXES))}.")
    pictures = tuple(Picture(path, _caption_beside(path)) for path in found)
    bare = [picture.path.name for picture in pictures if not picture.caption]
    if not bare:
        return pictures, ()
    named = ", ".join(bare[:5]) + (" …" if len(bare) > 5 else "")
    return pictures, (f"{len(bare)} of {len(pictures)} pictures have no caption: {named}.",)


def read_caption(path: Path) -> str:
    """A caption file's text as one line, without tags: UTF-8, or UTF-16 by its mark.

    Raises
    ------
    InputError
        Names the file that cannot be read or is written in another encoding.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_CAPTION_BYTES + 1)
        if len(raw) > _CAPTION_BYTES:
            raise InputError(f"The caption {path} has more than {_CAPTION_BYTES} bytes.", "Shorten it.")
        encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
        text = raw.decode(encoding)
    except OSError as error:
        raise InputError(f"The caption {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        written = encoding.removesuffix("-sig").upper()
        raise InputError(
            f"The caption {path} is not {written}: its byte {error.start} cannot be read.",
            "Save it as UTF-8 (in Windows' editor: Save as, encoding UTF-8).",
        ) from error
    if "\0" in text:
        raise InputError(f"The caption {path} is no text, or UTF-16 without a mark.", "Save it as UTF-8.")
    return caption_at_its_word(text)


def _caption_beside(picture: Path) -> str:
    beside = (picture.with_suffix(written) for one in CAPTION_SUFFIXES for written in (one, one.upper()))
    return next((read_caption(path) for path in beside if path.is_file()), "")
