"""What several pictures retouched by hand have in common: a rule that makes the same of any picture."""

from __future__ import annotations

from lib_copier.engines.embedded import job_command
from lib_copier.engines.task import Command
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps.edit import pair_inputs, pair_paths
from lib_copier.steps.parts import RESULT, fixed

RULE = "rule.safetensors"
_FEWEST = 2
"""One picture does not tell a rule from what else is alike in it."""
_WAY = 1
"""Part of the step's key: raised when a rule is found in another way."""


def is_sought(recipe: Recipe, edit: Edit) -> bool:
    """Whether an edit is made by hand, and shown often enough to have a rule; effects are one."""
    is_shown = len(recipe.origins) >= _FEWEST and all(edit.file_for(one.name) for one in recipe.origins)
    return not edit.effects and is_shown and bool(recipe.get("edit.find_rule", edit))


def step(recipe: Recipe, edit: Edit) -> Step:
    """``rule/EDIT``: rule.safetensors, and result.json with how much it tells."""
    return Step(
        f"rule/{edit.name}",
        "rule",
        _find,
        inputs=tuple(pair_inputs(recipe, edit)),
        params=fixed({"way": _WAY}),
        outputs=(Output(RULE, "file"), Output(RESULT, "json")),
        beside=(),
    )


def inputs(recipe: Recipe, edit: Edit) -> tuple[StepInput, ...]:
    """The rule, for a step that applies it; nothing where none is sought."""
    if not is_sought(recipe, edit):
        return ()
    return (StepInput("rule", step=f"rule/{edit.name}", output=RULE),)


def named(place: Workplace) -> dict[str, str]:
    """The same in the words of `lib_copier.measure`'s jobs."""
    found = place.paths("rule")
    return {"rule": str(found[0])} if found else {}


def _find(place: Workplace) -> Command:
    job = {"job": "rule", "pairs": pair_paths(place), "output": str(place.out)}
    return job_command("measure", job, place.scratch / "job.json")
