"""Method C's pairs: the edit on every picture, and which of the pairs are worth learning from."""

from __future__ import annotations

from pathlib import Path

from lib_copier.engines.embedded import job_command
from lib_copier.engines.task import Command
from lib_copier.graph.step import Output, Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.settings.training import Picture
from lib_copier.steps import pictures, rule, training, walk
from lib_copier.steps.edit import chain_of, pair_inputs
from lib_copier.steps.folder import read_caption
from lib_copier.steps.parts import PICTURE, RESULT, fixed
from lib_copier.txt2img.prompt import caption_of


def step(recipe: Recipe, edit: Edit) -> Step:
    """``pairs/EDIT``: result.json, and the edited copy of each drawn picture under the picture's name."""
    drawn = drawn_names(recipe, edit)
    return Step(
        f"pairs/{edit.name}",
        "pairs",
        _judge,
        inputs=(
            *(StepInput("picture", step=pictures.STEP, output=name) for name in drawn),
            *(() if edit.effects else pair_inputs(recipe, edit)),
            *rule.inputs(recipe, edit),
        ),
        params=fixed(
            {
                "names": pair_names(recipe, edit),
                "chain": chain_of(edit),
                # The ways to some cannot be learned together with the plain answers of others.
                "apart": not edit.effects and not recipe.draws_alike,
            }
        ),
        outputs=(Output(RESULT, "json"), *(Output(name, "picture") for name in drawn)),
        beside=(),
    )


def drawn_names(recipe: Recipe, edit: Edit) -> list[str]:
    """The files of the drawn pictures that the edit may be applied to: all, or none without a rule."""
    return pictures.names(recipe) if edit.effects or rule.is_sought(recipe, edit) else []


def pair_names(recipe: Recipe, edit: Edit) -> list[str]:
    """What the pairs are called: the drawn ones by their files, those made by hand by their origins.

    Of effects the origins are left out: nobody has seen the walk to them.
    """
    drawn = [Path(name).stem for name in drawn_names(recipe, edit)]
    by_hand = [] if edit.effects else [one.name for one in recipe.origins]
    # No name holds a colon.
    return [*drawn, *(f"own:{name}" if name in drawn else name for name in by_hand)]


def captions(recipe: Recipe, edit: Edit) -> list[str]:
    """The prompts of all pairs that have a walk, in the order of `pair_names`: a walk is learned with the one
    that it was drawn with. The others have captions of their own."""
    prompts = [prompt for prompt, _ in pictures.drawn_pairs(recipe)] if drawn_names(recipe, edit) else []
    if not edit.effects and recipe.draws_alike:
        prompts += [str(one.get("prompt")) for one in recipe.origins]
    return [caption_of(prompt) for prompt in prompts]


def learned(place: Workplace) -> tuple[Picture, ...]:
    """The pairs to learn from, out of the inputs that `training_inputs` gives."""
    (judged,) = (given.step for given, _ in place.inputs if given.role == "pairs")
    kept = set(place.results[judged]["kept"])
    texts = [*place.params["captions"], *(read_caption(path) for path in place.paths("caption"))]
    names, walks = place.params["names"], place.paths("walk")
    ways = [*walks, *[None] * (len(names) - len(walks))]
    found = zip(
        *(names, place.paths("picture"), texts, place.paths("origin")),
        ways,
        strict=True,
    )
    return tuple(
        Picture(picture, caption, origin=origin, walk=way)
        for name, picture, caption, origin, way in found
        if name in kept
    )


def training_inputs(recipe: Recipe, edit: Edit) -> list[StepInput]:
    """What a training on all pairs reads: pictures, origins, captions of the origins, and what was judged."""
    judged, drawn = f"pairs/{edit.name}", drawn_names(recipe, edit)
    found = [StepInput("pairs", step=judged, output=RESULT)]
    for name in drawn:
        found.append(StepInput("picture", step=judged, output=name))
        found.append(StepInput("origin", step=pictures.STEP, output=name))
        found.append(StepInput("walk", step=pictures.STEP, output=pictures.walk_of(name)))
    for one in () if edit.effects else recipe.origins:
        picture, caption = training.picture_inputs(f"edit/{one.name}/{edit.name}", one)
        found += [picture] if recipe.draws_alike else [picture, caption]
        found.append(StepInput("origin", step=f"origin/{one.name}", output=PICTURE))
        if recipe.draws_alike:
            found.append(StepInput("walk", step=f"walk/{one.name}", output=walk.WALK))
    return found


def _judge(place: Workplace) -> Command:
    job = {
        "job": "pairs",
        "pictures": [str(path) for path in place.paths("picture")],
        "origins": [str(path) for path in place.paths("origin")],
        "edited": [str(path) for path in place.paths("edited")],
        **{name: place.params[name] for name in ("names", "chain", "apart")},
        **rule.named(place),
        "output": str(place.out),
    }
    return job_command("measure", job, place.scratch / "job.json")
