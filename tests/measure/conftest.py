"""A stand-in for the generator whose LoRA is exactly known: so much of an edit, so much of the teacher."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_copier.image.effect import Chain
from lib_copier.image.effects import apply_chain
from lib_copier.measure.rule import Rule

_spec = importlib.util.spec_from_file_location("scenes", Path(__file__).parents[1] / "image" / "scenes.py")
_scenes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_scenes)


def blend(parts: Sequence[tuple[float, Image.Image]]) -> Image.Image:
    """A weighted sum of pictures, clipped."""
    total = sum(weight * np.asarray(picture, np.float64) for weight, picture in parts)
    return Image.fromarray(np.clip(total + 0.5, 0, 255).astype(np.uint8))


@dataclass
class KnownMaker:
    """Draws scene(seed); a LoRA of weight w adds w × gain of the edit and w × leak of the teacher."""

    draw: Callable[[int], Image.Image]
    chain: Chain = ()
    teacher: Image.Image | None = None
    gain: float = 1.0
    leak: float = 0.0
    asked: list = field(default_factory=list)

    def generate(self, requests, *, on_progress=None, on_step=None):
        made = []
        for number, request in enumerate(requests, start=1):
            if on_step is not None:
                on_step()
            self.asked.append(request)
            made.append(self._picture(request))
            if on_progress is not None:
                on_progress(number, len(requests))
        return made

    def _picture(self, request) -> Image.Image:
        plain = self.draw(request.seed)
        weight = sum(use.weight for use in request.loras)
        edited = apply_chain(plain, self.chain)
        mixed = [(1.0 - weight * self.gain, plain), (weight * self.gain, edited)]
        drift = weight * self.leak
        if self.teacher is None or drift == 0.0:
            return blend(mixed)
        return blend([((1.0 - drift) * share, picture) for share, picture in mixed] + [(drift, self.teacher)])


@pytest.fixture(scope="session")
def scene():
    """scene(seed, side=128) → a picture of shaded shapes with dark outlines."""
    return _scenes.scene


@pytest.fixture(scope="session")
def known_maker():
    """The class `KnownMaker`."""
    return KnownMaker


@pytest.fixture(scope="session")
def straight_rule():
    """straight_rule(line, share=1) → the rule whose change of a colour is `line` (3, 3), by no network."""

    def make(line, share: float = 1.0) -> Rule:
        shapes = {"w1": (3, 2), "b1": (2,), "w2": (2, 2), "b2": (2,), "w3": (2, 3), "b3": (3,)}
        arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        ends = {"mean": 0, "scale": 1, "low": 0, "high": 1, "least": -1, "most": 1}
        arrays |= {name: np.full(3, value, np.float32) for name, value in ends.items()}
        arrays["line"] = np.concatenate([line, np.zeros((1, 3))]).astype(np.float32)
        return Rule(("colour",), 64, share, arrays)

    return make
