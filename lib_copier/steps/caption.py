"""What the trainers are told about the origin: its prompt, a typed text, a tagger's tags, or nothing."""

from __future__ import annotations

from lib_copier.engines.choose import engine_named
from lib_copier.engines.task import Command, TagTask
from lib_copier.files.disk import write_text
from lib_copier.graph.step import Output, Result, Step, StepInput, Workplace
from lib_copier.recipe.model import Origin, Recipe
from lib_copier.steps.parts import CAPTION, PICTURE, engine_for, fixed
from lib_copier.txt2img.prompt import caption_at_its_word, caption_of


def step(recipe: Recipe, origin: Origin) -> Step:
    """``caption/ORIGIN``: caption.txt, one line of tags (possibly empty)."""
    step_id = f"caption/{origin.name}"
    outputs = (Output(CAPTION, "text"),)
    if origin.get("caption_source") == "tagger":
        return Step(
            step_id,
            "caption",
            _tag,
            inputs=(StepInput("picture", step=f"origin/{origin.name}", output=PICTURE),),
            params=fixed(
                {
                    "model": recipe.get("caption.tagger_model"),
                    "threshold": recipe.get("caption.tagger_threshold"),
                }
            ),
            outputs=outputs,
            engine=engine_for(recipe, "copier"),
        )
    return Step(step_id, "caption", _write, params=(("text", _text(origin)),), outputs=outputs)


def _text(origin: Origin) -> str:
    source = origin.get("caption_source")
    if source == "prompt":
        return caption_of(str(origin.get("prompt")))
    return caption_at_its_word(str(origin.get("caption"))) if source == "typed" else ""


def _write(place: Workplace) -> Result:
    text = str(place.params["text"])
    write_text(place.out / CAPTION, text + "\n")
    return {"caption": text}


def _tag(place: Workplace) -> Command:
    task = TagTask(
        place.path("picture"),
        place.out / CAPTION,
        model=str(place.params["model"]),
        threshold=float(place.params["threshold"]),
    )
    return engine_named(place.step.engine).command(task, place.scratch)
