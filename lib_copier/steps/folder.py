"""A folder of training pictures with their captions beside them."""

from __future__ import annotations

from pathlib import Path

from lib_copier.engines.task import Picture
from lib_copier.errors import InputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})


def pictures_in(folder: Path) -> tuple[Picture, ...]:
    """The pictures of a folder by name; ``NAME.txt`` beside ``NAME.png`` is its caption.

    Raises
    ------
    InputError
        Where the folder holds no picture.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"{folder} holds no picture.", f"It takes {', '.join(sorted(SUFFIXES))}.")
    return tuple(Picture(path, _caption(path.with_suffix(".txt"))) for path in found)


def _caption(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""
