"""The live preview of an edit: effects applied in this process, on a picture that is small enough."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lib_copier.recipe.model import Effect

if TYPE_CHECKING:
    from PIL import Image

    from lib_copier.image.effect import Effect as ImageEffect

MAX_STRENGTH = 2.0
LARGEST_SIDE = 768
"""Larger origins are shown reduced: the preview has to follow the slider."""
HIDDEN = frozenset({"seed"})
"""Parameters that nobody sets by a slider."""
_KEPT = 48


def effect_names() -> tuple[str, ...]:
    """All effects, in the order of the registry."""
    return tuple(_registry())


def effect_of(name: str) -> ImageEffect | None:
    """One effect with its parameters; None where there is none of that name."""
    return _registry().get(name)


@lru_cache(maxsize=1)
def _registry() -> dict[str, ImageEffect]:
    # Not at import: OpenCV would slow the start of a WebUI whose user never opens the tab.
    from lib_copier.image.effects import EFFECTS

    return dict(EFFECTS)


def edited_picture(folder: Path, origin: Path, effects: Iterable[Effect]) -> Path | None:
    """The origin with the effects applied, as a PNG in `folder`; None where they cannot be applied.

    The name is made from all that decides the picture, so going back to an earlier setting costs nothing.
    """
    from lib_copier.errors import CopierError
    from lib_copier.image.effect import EffectUse
    from lib_copier.image.effects import apply_chain
    from lib_copier.image.files import read_picture, write_png

    chain = tuple(EffectUse(effect.name, effect.strength, effect.params) for effect in effects)
    changed = origin.stat()
    what = repr((str(origin), changed.st_mtime_ns, changed.st_size, chain))
    path = folder / f"{hashlib.sha256(what.encode()).hexdigest()[:24]}.png"
    if path.is_file():
        return path
    try:
        picture = read_picture(origin).image
        picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
        write_png(apply_chain(picture, chain), path)
    except CopierError:
        return None
    _forget_old(folder)
    return path


def underway_picture(folder: Path, picture: Image.Image) -> Path:
    """What a host has made so far, as a PNG in `folder`; the same picture is written once."""
    from lib_copier.image.files import write_png

    shown = picture.convert("RGB")
    path = folder / f"underway-{hashlib.sha256(shown.tobytes()).hexdigest()[:24]}.png"
    if not path.is_file():
        write_png(shown, path)
        _forget_old(folder)
    return path


def _forget_old(folder: Path) -> None:
    """Keep the newest few: a slider leaves dozens behind."""
    found = sorted(folder.glob("*.png"), key=_time_of, reverse=True)
    for path in found[_KEPT:]:
        path.unlink(missing_ok=True)


def _time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
