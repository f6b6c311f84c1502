"""The preview: pictures that the LoRA never saw, at every weight, and what they measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lib_copier.engines.embedded import job_command
from lib_copier.engines.task import Command
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.settings.goals import SliderGoal
from lib_copier.steps import rule
from lib_copier.steps.edit import chain_of, pair_inputs, pair_paths
from lib_copier.steps.judging import judged_pictures, judging_params
from lib_copier.steps.parts import (
    RESULT,
    Model,
    checkpoint_model,
    device_of,
    fixed,
    judged_size,
    model_job,
    prompt_loras,
)
from lib_copier.txt2img.pictures import sweep_picture


def step(
    recipe: Recipe,
    edit: Edit,
    model: Model,
    lora: StepInput,
    step_id: str = "",
    tried: Sequence[float] = (),
    plain_from: str = "",
) -> Step:
    """``sweep/EDIT``: result.json and a picture for each pair and weight (`tried`, or the recipe's).

    `plain_from` names another sweep of the same pairs, whose pictures at weight 0 serve here too.
    """
    other = str(recipe.get("sweep.checkpoint", edit) or "")
    tried_on = checkpoint_model(recipe, other) if other else model
    judging = dict(judging_params(recipe, "sweep", tried_on, edit))
    plain = [
        StepInput("plain", step=plain_from, output=sweep_picture(row, 0.0))
        for row in range(len(judging["pairs"]) if plain_from else 0)
    ]
    params = {
        **judging,
        "weights": list(tried) or weights(recipe, edit),
        **looked_at(recipe, edit),
    }
    return Step(
        step_id or f"sweep/{edit.name}",
        "sweep",
        _sweep,
        inputs=(
            *tried_on.inputs,
            lora,
            *pair_inputs(recipe, edit),
            *rule.inputs(recipe, edit),
            *plain,
            *prompt_loras(recipe, recipe.texts("sweep.prompts", edit)),
        ),
        params=fixed(params),
        outputs=(Output(RESULT, "json"),),
        cosmetic=device_of(recipe),
    )


def judged_step(recipe: Recipe, edit: Edit, model: Model, lora: StepInput) -> Step:
    """``sweep/EDIT`` with the slider's goal: what it must reach before it is published."""
    names = ("correlation", "strength", "leak", "rest")
    correlation, strength, leak, rest = (recipe.number(f"sweep.goal_{name}", edit) for name in names)
    return replace(
        step(recipe, edit, model, lora),
        goal=SliderGoal(correlation, strength, leak, rest, sign=sign_of(recipe)),
        is_accepted=bool(recipe.get("sweep.accept", edit)),
    )


def looked_at(recipe: Recipe, edit: Edit) -> dict[str, Any]:
    """What pictures of this edit's slider are measured for, and how large they are."""
    return {"chain": chain_of(edit), "size": judged_size(recipe, edit)}


def sign_of(recipe: Recipe) -> int:
    """−1 where a positive weight is meant to take the edit away, as method B has it in the memo."""
    return -1 if recipe.method == "difference" and recipe.get("difference.sign") == "memo" else 1


def weights(recipe: Recipe, edit: Edit) -> list[float]:
    """The weights to try, lowest first; 0 is always among them, as what the others are compared with."""
    low, high, step_size = (recipe.number(f"sweep.weight_{name}", edit) for name in ("min", "max", "step"))
    up = [round(n * step_size, 4) for n in range(int(high / step_size + 1e-6) + 1)]
    down = [round(-n * step_size, 4) for n in range(1, int(-low / step_size + 1e-6) + 1)]
    return [*reversed(down), *up]


def _sweep(place: Workplace) -> Command:
    job = {
        "job": "sweep",
        **model_job(place),
        **judged_pictures(place),
        "lora": str(place.path("lora")),
        "weights": place.params["weights"],
        "chain": place.params["chain"],
        "pairs": pair_paths(place),
        **rule.named(place),
        "plain": [str(path) for path in place.paths("plain")],
        "output": str(place.out),
    }
    return job_command("measure", job, place.scratch / "job.json")
