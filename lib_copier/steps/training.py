"""How a LoRA is trained in any step: its step, settings to a task, and the records that are kept of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from lib_copier.engines.task import Command
from lib_copier.graph.step import Action, Step, StepInput, Workplace
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.recipe.options import OPTIONS
from lib_copier.settings.training import Picture, TrainTask, Turn, can_go_on
from lib_copier.steps.folder import read_caption
from lib_copier.steps.parts import (
    CAPTION,
    LORA,
    LORA_OUTPUT,
    PICTURE,
    Model,
    device_of,
    engine_command,
    engine_for,
    fixed,
    weighted_loras,
)
from lib_copier.steps.prompts import OTHER_PROMPTS, PROMPTS
from lib_copier.steps.records import forget_time

_TASK_FIELDS = frozenset(field.name for field in fields(TrainTask))
METRICS = "metrics.jsonl"
_LENGTH = frozenset({"steps", "copied_psnr"})
"""Settings that say when a training ends, and nothing of how its steps are done."""
_STATE_FILES = ("state.pt", METRICS, "*-state")
"""What a longer training goes on from, of either engine."""


def train(place: Workplace, **changes: Any) -> Command:
    """The command that trains on the step's pictures; masks and origins belong to one picture alone.

    `changes` replace settings.
    """
    roles = ("picture", "caption", "mask", "origin")
    pictures = tuple(
        Picture(picture, read_caption(caption), mask, origin)
        for picture, caption, mask, origin in zip_longest(*(place.paths(role) for role in roles))
    )
    return training_command(place, pictures, **changes)


def step(
    step_id: str,
    recipe: Recipe,
    group: str,
    model: Model,
    inputs: Iterable[StepInput],
    *,
    edit: Edit | None = None,
    action: Action = train,
    changes: Mapping[str, Any] | None = None,
) -> Step:
    """A step of the kind that its id begins with: trains on `model`; lora.safetensors and the loss curve.

    Its settings are those of `group`, as `edit` has them where it is given, with some changed.
    """
    settings = recipe.group(group, edit)
    cosmetic = {name: value for name, value in settings.items() if OPTIONS[f"{group}.{name}"].is_cosmetic}
    decisive = _decisive({name: value for name, value in settings.items() if name not in cosmetic})
    return Step(
        step_id,
        step_id.partition("/")[0],
        action,
        inputs=(*model.inputs, *inputs),
        params=fixed({**decisive, "prediction": model.prediction, **(changes or {})}),
        outputs=LORA_OUTPUT,
        cosmetic=(*fixed(cosmetic), *device_of(recipe)),
        engine=engine_for(recipe, group),
        finish=keep_records,
    )


def picture_inputs(source: str, origin: Origin) -> tuple[StepInput, ...]:
    """The picture that the step `source` made, and its origin's caption."""
    return (
        StepInput("picture", step=source, output=PICTURE),
        StepInput("caption", step=f"caption/{origin.name}", output=CAPTION),
    )


def _decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of a group's settings those that a training knows."""
    values = {name: value for name, value in settings.items() if name in _TASK_FIELDS}
    if values["other_prompt_share"]:
        # The empty prompt is what guidance compares every other one with.
        own: Any = values["other_prompts"]
        values["other_prompts"] = ("", *(own or OTHER_PROMPTS))
    return values


def training_command(place: Workplace, pictures: tuple[Picture, ...], **changes: Any) -> Command:
    """The engine's command that trains the step's LoRA on these pictures; `changes` replace settings."""
    values = {name: value for name, value in {**place.params, **changes}.items() if name in _TASK_FIELDS}
    if values.get("sample_every"):
        # Its own caption, and one that has nothing to do with the picture.
        values["sample_prompts"] = tuple(dict.fromkeys((pictures[0].caption, PROMPTS[0])))
    vae = place.paths("vae")
    task = TrainTask(
        checkpoint=place.path("checkpoint"),
        output=place.out / LORA,
        pictures=pictures,
        vae=vae[0] if vae else None,
        base_loras=weighted_loras(place, "base_lora"),
    )
    task = replace(task, **values)
    if _keeps_state(place):
        _move(_state_home(place), place.scratch)
        task = replace(task, keep_state=True)
    return engine_command(place, task)


def followed(result: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with which a training goes the way of another, whose result this is.

    It may have found its own rates, gone back or ended early: what goes another way differs by that too.
    """
    taken = result.get("kept_step") or result.get("steps")
    # An engine that does not say how many steps it took took all.
    stop_after = taken if isinstance(taken, int) and taken > 0 else None
    turns = tuple(Turn(**turn) for turn in result.get("turns") or ())
    kept = tuple(turn for turn in turns if stop_after is None or turn.step < stop_after)
    return {"turns": kept, "stop_after": stop_after, "find_rate": False, "copied_psnr": None}


def _keeps_state(place: Workplace) -> bool:
    """A copier's check may ask for more steps: they begin where the shorter training has ended."""
    is_by_hand = not place.scratch.is_relative_to(place.project / "work")
    return place.step.kind == "copier" and not is_by_hand and can_go_on(place.params["lr_scheduler"])


def _state_home(place: Workplace) -> Path:
    """Where the state of a finished training lies, by all that it depends on; `prune` removes it."""
    params = {name: value for name, value in place.step.params if name not in _LENGTH}
    inputs = [(given.role, path.as_posix(), given.weight) for given, path in place.inputs]
    told = json.dumps([place.step.kind, place.step.engine, params, inputs], sort_keys=True)
    return place.project / "work" / f"state-{hashlib.sha256(told.encode()).hexdigest()[:20]}"


def _move(source: Path, target: Path) -> None:
    """Move the files of a state, unless there are some already."""
    if any(path for pattern in _STATE_FILES for path in target.glob(pattern)):
        return
    for path in [path for pattern in _STATE_FILES for path in source.glob(pattern)]:
        target.mkdir(parents=True, exist_ok=True)
        path.replace(target / path.name)


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
    if _keeps_state(place):
        shutil.rmtree(_state_home(place), ignore_errors=True)
        _move(place.scratch, _state_home(place))
