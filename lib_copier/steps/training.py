"""How a LoRA is trained in any step: settings to a task, and the records that are kept of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from lib_copier.engines.task import Command, Picture, TrainTask, WeightedLora
from lib_copier.graph.step import Workplace
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.recipe.options import OPTIONS
from lib_copier.steps.parts import LORA, device_of, engine_command, fixed
from lib_copier.steps.prompts import OTHER_PROMPTS, PROMPTS
from lib_copier.steps.records import forget_time

_TASK_FIELDS = frozenset(field.name for field in fields(TrainTask))
METRICS = "metrics.jsonl"


def training_params(recipe: Recipe, group: str, edit: Edit | None = None) -> tuple[tuple[str, Any], ...]:
    """The settings of a training that decide its result."""
    values = {
        name: value
        for name, value in recipe.group(group, edit).items()
        if name in _TASK_FIELDS and not OPTIONS[f"{group}.{name}"].is_cosmetic
    }
    if values["other_prompt_share"]:
        # The empty prompt is what guidance compares every other one with.
        own: Any = values["other_prompts"]
        values["other_prompts"] = ("", *(own or OTHER_PROMPTS))
    return fixed({**values, "prediction": recipe.get("project.prediction")})


def cosmetic_params(recipe: Recipe, group: str, edit: Edit | None = None) -> tuple[tuple[str, Any], ...]:
    """The settings of a training that do not: device, samples underway, saved states."""
    values = {
        name: value
        for name, value in recipe.group(group, edit).items()
        if OPTIONS[f"{group}.{name}"].is_cosmetic
    }
    return (*fixed(values), *device_of(recipe))


def training_command(place: Workplace, pictures: tuple[Picture, ...], **changes: Any) -> Command:
    """The engine's command that trains the step's LoRA on these pictures; `changes` replace settings."""
    values = {name: value for name, value in {**place.params, **changes}.items() if name in _TASK_FIELDS}
    values["optimizer_args"] = tuple(
        tuple(item.split("=", 1)) if isinstance(item, str) else tuple(item)
        for item in values.get("optimizer_args") or ()
    )
    if values.get("sample_every"):
        # Its own caption, and one that has nothing to do with the picture.
        values["sample_prompts"] = tuple(dict.fromkeys((pictures[0].caption, PROMPTS[0])))
    vae = place.paths("vae")
    task = TrainTask(
        checkpoint=place.path("checkpoint"),
        output=place.out / LORA,
        pictures=pictures,
        vae=vae[0] if vae else None,
        base_loras=tuple(WeightedLora(path, weight) for path, weight in place.weighted("base_lora")),
    )
    return engine_command(place, replace(task, **values))


def keep_records(place: Workplace, result: Mapping[str, Any]) -> None:
    """Keep the loss curve and the samples beside the LoRA, and take the time of day out of it."""
    forget_time(place.out / LORA)
    metrics = place.scratch / METRICS
    if metrics.is_file():
        shutil.copyfile(metrics, place.out / METRICS)
    # sd-scripts names its folder in the singular.
    for samples in (place.scratch / "samples", place.scratch / "sample"):
        if samples.is_dir():
            shutil.copytree(samples, place.out / "samples", dirs_exist_ok=True)


def steps_trained(result: Mapping[str, Any], planned: int) -> int:
    """How many steps a training really took: it may have stopped early, or its engine may not say."""
    found = result.get("steps")
    return int(found) if isinstance(found, int) and found > 0 else planned


def metrics_of(folder: Path) -> Path:
    """Where the loss curve of a training lies, in its artifact or its scratch folder."""
    return folder / METRICS
