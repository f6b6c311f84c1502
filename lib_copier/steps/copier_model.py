"""Step 3: the copier model, which prints the origin whatever the prompt; a file only where wanted."""

from __future__ import annotations

from lib_copier.graph.step import Step
from lib_copier.recipe.model import Origin, Recipe
from lib_copier.steps import copier
from lib_copier.steps.parts import Model, model_file


def steps(recipe: Recipe, origin: Origin, model: Model) -> tuple[list[Step], Model]:
    """``copier_model/ORIGIN`` where a file is asked for, and the model either way."""
    in_memory = copier.on(recipe, origin, model)
    if not recipe.get("copier_model.as_file"):
        return [], in_memory
    step = model_file(recipe, f"copier_model/{origin.name}", in_memory)
    return [step], in_memory.as_file(step.id)
