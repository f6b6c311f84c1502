"""The copier check: what the copier model prints from prompts and seeds that it never saw."""

from __future__ import annotations

from lib_copier.engines.embedded import job_command
from lib_copier.engines.task import Command
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.recipe.model import Origin, Recipe
from lib_copier.settings.goals import CopierGoal
from lib_copier.steps.judging import judged_pictures, judging_params
from lib_copier.steps.parts import PICTURE, RESULT, Model, device_of, model_job, prompt_loras


def step(recipe: Recipe, origin: Origin, model: Model) -> Step:
    """``check/ORIGIN``: result.json and the proof sheet's pictures; judged by the print that is worst."""
    return Step(
        f"check/{origin.name}",
        "check",
        _check,
        inputs=(
            *model.inputs,
            StepInput("origin", step=f"origin/{origin.name}", output=PICTURE),
            *prompt_loras(recipe, recipe.texts("check.prompts")),
        ),
        params=judging_params(recipe, "check", model),
        outputs=(Output(RESULT, "json"),),
        cosmetic=device_of(recipe),
        goal=CopierGoal(recipe.number("check.goal_db"), recipe.number("check.enough_db")),
        is_accepted=bool(origin.get("accept_copier")),
    )


def _check(place: Workplace) -> Command:
    job = {
        "job": "copier-check",
        **model_job(place),
        **judged_pictures(place),
        "origin": str(place.path("origin")),
        "output": str(place.out),
    }
    return job_command("measure", job, place.scratch / "job.json")
