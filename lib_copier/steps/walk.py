"""Method C with retouching by hand: an origin is drawn again, to be seen on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_copier.engines.task import Command
from lib_copier.errors import InputError
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.recipe.model import Origin, Recipe
from lib_copier.steps import pictures
from lib_copier.steps.parts import PICTURE, Model, device_of, fixed, prompt_loras
from lib_copier.txt2img.pictures import SETTINGS

WALK = "picture.walk"
_DRAWN_AGAIN = "again.png"
_SAME_DB = 30.0
"""PSNR of a picture that was drawn twice: other threads or devices round otherwise, other files differ."""


def step(recipe: Recipe, origin: Origin, model: Model) -> Step:
    """``walk/ORIGIN``: picture.walk."""
    drawn = StepInput("origin", step=f"origin/{origin.name}", output=PICTURE)
    return Step(
        f"walk/{origin.name}",
        "walk",
        _draw,
        inputs=(*model.inputs, drawn, *prompt_loras(recipe, [str(origin.get("prompt"))])),
        params=fixed(
            {
                **{name: origin.get(name) for name in SETTINGS},
                "walks": pictures.WALKS,
                "prediction": model.prediction,
            }
        ),
        outputs=(Output(WALK, "walk"),),
        cosmetic=device_of(recipe),
        finish=_compare,
    )


def _draw(place: Workplace) -> Command:
    values = {name: place.params[name] for name in SETTINGS}
    files = [(place.scratch / _DRAWN_AGAIN, place.out / WALK)]
    return pictures.drawing(place, values, [(values.pop("prompt"), values.pop("seed"))], files)


def _compare(place: Workplace, result: Mapping[str, Any]) -> None:
    """A walk to another picture would teach another edit."""
    # Here, not above: Pillow is not needed to read a plan.
    from lib_copier.image.files import read_picture
    from lib_copier.image.similarity import similarity

    first, again = (read_picture(path).image for path in (place.path("origin"), place.scratch / _DRAWN_AGAIN))
    found = similarity(first, again).psnr_db if first.size == again.size else 0.0
    if found < _SAME_DB:
        name = place.step.id.partition("/")[2]
        raise InputError(
            f"The origin {name} does not come out again as it was drawn ({found:.0f} dB).",
            "Draw it anew and retouch that, or give both pictures as files.",
        )
