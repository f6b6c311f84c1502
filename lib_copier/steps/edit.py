"""Step 4: the edited picture, made by a chain of effects or taken from the user's own file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_copier.engines.embedded import job_command
from lib_copier.engines.task import Command
from lib_copier.errors import InputError
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.steps.parts import PICTURE

MASK = "mask.png"
HEAT = "heat.png"
_OUTPUTS = tuple(Output(name, "picture") for name in (PICTURE, MASK, HEAT))


def chain_of(edit: Edit) -> list[dict[str, Any]]:
    """The effects in the words of `lib_copier.image`'s jobs."""
    return [{"name": e.name, "strength": e.strength, "params": dict(e.params)} for e in edit.effects]


def pair_inputs(recipe: Recipe, edit: Edit) -> list[StepInput]:
    """The pairs that a slider is learned from."""
    return [
        StepInput(role, step=f"{kind}/{origin.name}{tail}", output=PICTURE)
        for origin in recipe.origins
        for role, kind, tail in (("origin", "origin", ""), ("edited", "edit", f"/{edit.name}"))
    ]


def pair_paths(place: Workplace) -> list[dict[str, str]]:
    """The same in the words of `lib_copier.measure`'s jobs."""
    return [
        {"origin": str(origin), "edited": str(edited)}
        for origin, edited in zip(place.paths("origin"), place.paths("edited"), strict=True)
    ]


def step(recipe: Recipe, edit: Edit, origin: Origin) -> Step:
    """``edit/ORIGIN/EDIT``: picture.png, and where it differs from the origin: mask.png and heat.png."""
    step_id = f"edit/{origin.name}/{edit.name}"
    source = StepInput("origin", step=f"origin/{origin.name}", output=PICTURE)
    file = edit.file_for(origin.name)
    if file:
        return Step(
            step_id,
            "edit",
            _take_in,
            inputs=(source, StepInput("edited", path=file)),
            params=(("align", recipe.get("edit.align", edit)),),
            outputs=_OUTPUTS,
            finish=_named,
            beside=(),
        )
    return Step(
        step_id,
        "edit",
        _apply,
        inputs=(source,),
        params=(("chain", chain_of(edit)),),
        outputs=_OUTPUTS,
        finish=_refuse_unchanged,
        beside=(),
    )


def _apply(place: Workplace) -> Command:
    job = {
        "job": "edit",
        "picture": str(place.path("origin")),
        "chain": place.params["chain"],
        "output": str(place.out / PICTURE),
        "mask": str(place.out / MASK),
        "heat": str(place.out / HEAT),
    }
    return job_command("image", job, place.scratch / "job.json")


def _take_in(place: Workplace) -> Command:
    job = {
        "job": "pair",
        "origin": str(place.path("origin")),
        "edited": str(place.path("edited")),
        "output": str(place.out),
        "align": bool(place.params["align"]),
    }
    return job_command("image", job, place.scratch / "job.json")


def _named(place: Workplace, result: Mapping[str, Any]) -> None:
    (place.out / "edited.png").replace(place.out / PICTURE)
    _refuse_unchanged(place, result)


def _refuse_unchanged(place: Workplace, result: Mapping[str, Any]) -> None:
    """Half an hour of training on a picture like the origin would teach nothing."""
    if result.get("changed") == 0.0:
        raise InputError(
            f"The edited picture of {place.step.id} does not differ visibly from its origin.",
            "Raise the effect's strength, or take another effect or picture.",
        )
