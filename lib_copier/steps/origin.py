"""Step 1: the origin picture, generated with the base model or taken from a file."""

from __future__ import annotations

from lib_copier.engines.embedded import job_command, module_command
from lib_copier.engines.task import Command
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.recipe.model import Origin, Recipe
from lib_copier.steps.parts import PICTURE, Model, device_of, fixed

_GENERATED = (
    "prompt",
    "negative_prompt",
    "seed",
    "width",
    "height",
    "steps",
    "cfg_scale",
    "clip_skip",
    "sampler",
)


def step(recipe: Recipe, origin: Origin, model: Model) -> Step:
    """``origin/ORIGIN``: picture.png."""
    outputs = (Output(PICTURE, "picture"),)
    step_id = f"origin/{origin.name}"
    if origin.get("source") == "file":
        given = StepInput("picture", path=str(origin.get("file")))
        return Step(step_id, "origin", _take_in, inputs=(given,), outputs=outputs)
    return Step(
        step_id,
        "origin",
        _generate,
        inputs=model.inputs,
        params=fixed({**{name: origin.get(name) for name in _GENERATED}, "prediction": model.prediction}),
        outputs=outputs,
        cosmetic=device_of(recipe),
    )


def _take_in(place: Workplace) -> Command:
    job = {"job": "origin", "picture": str(place.path("picture")), "output": str(place.out / PICTURE)}
    return job_command("image", job, place.scratch / "job.json")


def _generate(place: Workplace) -> Command:
    params = place.params
    arguments = ["--checkpoint", str(place.path("checkpoint")), "--prediction", str(params["prediction"])]
    for path in place.paths("vae"):
        arguments += ["--vae", str(path)]
    for path, weight in place.weighted("base_lora"):
        arguments += ["--lora", f"{path}:{weight!r}"]
    for name in _GENERATED:
        arguments.append(f"--{name}={params[name]}")
    arguments += ["--device", str(params["device"]), "--out", str(place.out / PICTURE)]
    return module_command("generate", *arguments)
