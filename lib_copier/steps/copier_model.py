"""Step 3: the copier model, which prints the origin whatever the prompt; a file only where wanted."""

from __future__ import annotations

from lib_copier.engines.task import Command, MergeTask
from lib_copier.graph.step import Output, Step, Workplace
from lib_copier.recipe.model import Origin, Recipe
from lib_copier.steps import copier
from lib_copier.steps.parts import CHECKPOINT, Model, device_of, engine_command, engine_for, merge_device
from lib_copier.training import WeightedLora


def steps(recipe: Recipe, origin: Origin, model: Model) -> tuple[list[Step], Model]:
    """``copier_model/ORIGIN`` where a file is asked for, and the model either way."""
    in_memory = copier.on(recipe, origin, model)
    if not recipe.get("copier_model.as_file"):
        return [], in_memory
    step = Step(
        f"copier_model/{origin.name}",
        "copier_model",
        _merge,
        inputs=in_memory.inputs,
        params=(("prediction", in_memory.prediction),),
        outputs=(Output(CHECKPOINT, "checkpoint"),),
        cosmetic=device_of(recipe),
        engine=engine_for(recipe, "merge"),
    )
    return [step], in_memory.as_file(step.id)


def _merge(place: Workplace) -> Command:
    """The memo's merge: ratio 1, everything in float."""
    loras = tuple(WeightedLora(path, weight) for path, weight in place.weighted("base_lora"))
    task = MergeTask(
        loras,
        place.out / CHECKPOINT,
        checkpoint=place.path("checkpoint"),
        prediction=str(place.params["prediction"]),
        precision="float",
        save_precision="float",
        device=merge_device(place),
    )
    return engine_command(place, task)
