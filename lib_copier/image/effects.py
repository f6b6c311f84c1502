"""The registry of edits and the one way to apply them: a chain, in order, rounded once at its end."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from lib_copier.errors import FaultsError
from lib_copier.image.effect import Chain, Effect, EffectUse
from lib_copier.image.flat import FLAT
from lib_copier.image.outline import OUTLINE
from lib_copier.image.texture import BLUR, GRAIN, JPEG, SHARPEN
from lib_copier.image.tones import BRIGHTNESS, CONTRAST, POSTERIZE, SATURATION

EFFECTS: dict[str, Effect] = {
    effect.name: effect
    for effect in (
        OUTLINE,
        FLAT,
        CONTRAST,
        POSTERIZE,
        JPEG,
        BLUR,
        SHARPEN,
        SATURATION,
        BRIGHTNESS,
        GRAIN,
    )
}
"""All edits by name; the memo's five stand first."""


def chain_faults(chain: Iterable[EffectUse]) -> list[str]:
    """Everything wrong with a chain, a phrase each; empty where it can be applied."""
    faults = []
    for number, use in enumerate(chain, start=1):
        effect = EFFECTS.get(use.name)
        if effect is None:
            found = [f"there is no such edit (there are: {', '.join(EFFECTS)})"]
        else:
            found = effect.faults(use.strength, dict(use.params))
        faults += [f"edit {number} ({use.name}): {fault}" for fault in found]
    return faults


def read_chain(value: object) -> Chain:
    """A chain from its JSON form: a list of objects with ``name``, ``strength`` (1) and ``params`` (none).

    Raises FaultsError with everything wrong in it.
    """
    links = value if isinstance(value, list) else [None]
    faults = [
        f"edit {number} must be an object with a name"
        for number, link in enumerate(links, start=1)
        if not isinstance(link, dict)
        or not isinstance(link.get("name"), str)
        or not isinstance(link.get("params", {}), dict)
    ]
    chain = () if faults else tuple(map(EffectUse.from_json, links))
    faults += chain_faults(chain)
    if faults:
        raise FaultsError("The chain of edits", faults)
    return chain


def apply_chain(picture: Image.Image, chain: Chain) -> Image.Image:
    """Apply the edits one after the other to an RGB picture.

    Links of strength 0 leave no trace: the result is then equal to `picture` in every bit. The result
    depends on the arguments alone. Raises FaultsError with every fault of the chain.
    """
    faults = chain_faults(chain)
    if faults:
        raise FaultsError("The edit", faults)
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0
    for use in chain:
        if use.strength > 0.0:
            effect = EFFECTS[use.name]
            edited = effect.apply(pixels, float(use.strength), effect.values(dict(use.params)))
            pixels = np.ascontiguousarray(edited, dtype=np.float32)
    return Image.fromarray((np.clip(pixels, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))
