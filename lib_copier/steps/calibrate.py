"""Weight 1 is the edit: the finished LoRA at the gain that pictures ask for, or at one that was typed."""

from __future__ import annotations

from dataclasses import replace

from lib_copier.engines.embedded import job_command
from lib_copier.engines.task import Command, MergeTask
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.steps import rule
from lib_copier.steps.edit import pair_inputs, pair_paths
from lib_copier.steps.judging import judged_pictures, judging_params
from lib_copier.steps.parts import (
    LORA,
    LORA_OUTPUT,
    RESULT,
    Model,
    device_of,
    engine_command,
    engine_for,
    fixed,
    merge_device,
    model_job,
    prompt_loras,
    weighted_loras,
)
from lib_copier.steps.records import settle
from lib_copier.steps.sweep import looked_at, sign_of


def step(recipe: Recipe, edit: Edit, model: Model, finished: Step) -> Step:
    """``calibrate/EDIT``: lora.safetensors; where the gain is measured, result.json and the sheet too."""
    step_id, lora = f"calibrate/{edit.name}", StepInput("lora", step=finished.id, output=LORA)
    gain = recipe.get("calibrate.gain", edit)
    if gain is None:
        return _measured(recipe, edit, model, lora)
    if gain == 1.0:
        note = "its gain is typed: as it was learned"
        return Step(step_id, "calibrate", None, outputs=LORA_OUTPUT, same_as=finished.id, note=note)
    return Step(
        step_id,
        "calibrate",
        _multiply,
        inputs=(replace(lora, weight=float(str(gain))),),
        params=(("save_precision", recipe.get("resize.save_precision", edit)),),
        outputs=LORA_OUTPUT,
        cosmetic=device_of(recipe),
        engine=engine_for(recipe, "merge"),
        finish=settle,
    )


def _measured(recipe: Recipe, edit: Edit, model: Model, lora: StepInput) -> Step:
    params = {
        **dict(judging_params(recipe, "calibrate", model, edit)),
        **looked_at(recipe, edit),
        "sign": sign_of(recipe),
        "most_leak": recipe.number("calibrate.most_leak", edit),
    }
    return Step(
        f"calibrate/{edit.name}",
        "calibrate",
        _calibrate,
        inputs=(
            *model.inputs,
            lora,
            *pair_inputs(recipe, edit),
            *rule.inputs(recipe, edit),
            *prompt_loras(recipe, recipe.texts("calibrate.prompts", edit)),
        ),
        params=fixed(params),
        outputs=(*LORA_OUTPUT, Output(RESULT, "json")),
        cosmetic=device_of(recipe),
        finish=settle,
    )


def _calibrate(place: Workplace) -> Command:
    job = {
        "job": "calibrate",
        **model_job(place),
        **judged_pictures(place),
        "lora": str(place.path("lora")),
        **{name: place.params[name] for name in ("chain", "sign", "most_leak")},
        "pairs": pair_paths(place),
        **rule.named(place),
        "output": str(place.out),
    }
    return job_command("measure", job, place.scratch / "job.json")


def _multiply(place: Workplace) -> Command:
    precision = str(place.params["save_precision"])
    loras, device = weighted_loras(place, "lora"), merge_device(place)
    return engine_command(place, MergeTask(loras, place.out / LORA, save_precision=precision, device=device))
