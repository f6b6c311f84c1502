"""How much of an edit the VAE lets through: what it swallows, no LoRA can learn."""

from __future__ import annotations

from lib_copier.engines.embedded import job_command
from lib_copier.engines.task import Command
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.settings.goals import SurvivalGoal
from lib_copier.steps.parts import PICTURE, RESULT, Model, device_of, model_job


def step(recipe: Recipe, edit: Edit, origin: Origin, model: Model) -> Step:
    """``survival/ORIGIN/EDIT``: result.json."""
    return Step(
        f"survival/{origin.name}/{edit.name}",
        "survival",
        _measure,
        inputs=(
            *(one for one in model.inputs if one.role != "base_lora"),
            StepInput("origin", step=f"origin/{origin.name}", output=PICTURE),
            StepInput("edited", step=f"edit/{origin.name}/{edit.name}", output=PICTURE),
        ),
        params=(("prediction", model.prediction),),
        outputs=(Output(RESULT, "json"),),
        cosmetic=device_of(recipe),
        beside=(("device", "cpu"),),
        goal=SurvivalGoal(recipe.number("edit.least_kept", edit)),
        is_accepted=bool(recipe.get("edit.accept_faint", edit)),
    )


def _measure(place: Workplace) -> Command:
    job = {
        "job": "vae-survival",
        **model_job(place),
        "origin": str(place.path("origin")),
        "edited": str(place.path("edited")),
        "output": str(place.out),
    }
    return job_command("measure", job, place.scratch / "job.json")
