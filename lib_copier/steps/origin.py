"""Step 1: the origin picture, generated with the base model or taken from a file that is there."""

from __future__ import annotations

from lib_copier.engines.embedded import module_command
from lib_copier.engines.task import Command
from lib_copier.graph.step import Output, Result, Step, StepInput, Workplace
from lib_copier.recipe.model import Origin, Recipe
from lib_copier.steps.parts import PICTURE, Model, device_of, fixed, picture_request, prompt_loras
from lib_copier.txt2img.pictures import SETTINGS


def step(recipe: Recipe, origin: Origin, model: Model) -> Step:
    """``origin/ORIGIN``: picture.png."""
    outputs = (Output(PICTURE, "picture"),)
    step_id = f"origin/{origin.name}"
    if origin.is_given:
        given = StepInput("picture", path=str(origin.get("file")))
        return Step(step_id, "origin", _take_in, inputs=(given,), outputs=outputs)
    return Step(
        step_id,
        "origin",
        _generate,
        inputs=(*model.inputs, *prompt_loras(recipe, [str(origin.get("prompt"))])),
        params=fixed({**{name: origin.get(name) for name in SETTINGS}, "prediction": model.prediction}),
        outputs=outputs,
        cosmetic=device_of(recipe),
    )


def _take_in(place: Workplace) -> Result:
    """The picture as a plain sRGB PNG, cropped to a multiple of 8, with its text chunks."""
    # Here, not above: Pillow is not needed to read a plan.
    from lib_copier.image.files import crop_to_multiple, read_picture, write_png

    opened = read_picture(place.path("picture"))
    picture, cropped = crop_to_multiple(opened.image)
    write_png(picture, place.out / PICTURE, opened.text)
    notes = [note for note in (*opened.notes, cropped) if note]
    return {"width": picture.width, "height": picture.height, "notes": notes}


def _generate(place: Workplace) -> Command:
    params = place.params
    arguments = ["--checkpoint", str(place.path("checkpoint")), "--prediction", str(params["prediction"])]
    for path in place.paths("vae"):
        arguments += ["--vae", str(path)]
    for path, weight in place.weighted("base_lora"):
        arguments += ["--lora", f"{path}:{weight!r}"]
    request = picture_request(place, {name: params[name] for name in SETTINGS})
    for use in request.loras:
        arguments += ["--lora", f"{use.path}:{use.weight!r}:{use.text_weight!r}"]
    arguments += [f"--{name}={getattr(request, name)}" for name in SETTINGS]
    arguments += ["--device", str(params["device"]), "--out", str(place.out / PICTURE)]
    return module_command("generate", *arguments)
