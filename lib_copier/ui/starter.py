"""What a new project starts with, so that the first slider needs no typing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lib_copier.host.base import Host
from lib_copier.recipe.model import Recipe
from lib_copier.recipe.options import OPTIONS
from lib_copier.recipe.presets import first_values, preset_values, suggested_preset
from lib_copier.ui.workshop import Workshop

EFFECTS = ("outline", "flat", "contrast", "posterize", "jpeg")
"""The memo's five edits."""
OWN_PICTURE = "own"
_ORIGIN = "first"
_PROMPT = "a girl in a garden, upper body, flowers, blue sky"


@dataclass(frozen=True)
class Suggestion:
    """Values of the new-project form."""

    name: str
    checkpoint: str
    effect: str
    preset: str
    prompt: str


def suggestion(host: Host, workshop: Workshop, chosen: str = "") -> Suggestion:
    """A form that works as it stands: for the chosen checkpoint where the host lists it, else for its own."""
    current = host.current_checkpoint()
    checkpoint = str(current.path) if current is not None else ""
    if any(str(one.path) == chosen for one in host.checkpoints()):
        checkpoint = chosen
    return Suggestion(
        name=workshop.free_name("my-slider"),
        checkpoint=checkpoint,
        effect=EFFECTS[0],
        preset=suggested_preset(checkpoint),
        prompt=str(first_values(checkpoint, [_ORIGIN]).get(f"origins.{_ORIGIN}.prompt", _PROMPT)),
    )


def first_settings(
    host: Host, *, checkpoint: str, method: str, preset: str, effect: str, prompt: str
) -> dict[str, Any]:
    """The addresses and values of a new project: one origin, one edit, everything else by the preset."""
    vae = host.current_vae()
    values: dict[str, Any] = {
        "project.checkpoint": checkpoint,
        "project.method": method,
        "project.device": host.device_for_child(),
        **first_values(checkpoint, [_ORIGIN]),
        f"origins.{_ORIGIN}.prompt": prompt,
    }
    if vae is not None:
        values["project.vae"] = str(vae)
    if effect == OWN_PICTURE:
        values["edits.my-edit"] = True
    else:
        values[f"edits.{effect}.effects"] = effect
    values["preset"] = preset
    return values


def has_preset(recipe: Recipe, preset: str) -> bool:
    """Whether the recipe's common settings are those of the preset."""
    wanted = preset_values(preset, recipe.method, str(recipe.get("project.checkpoint")))
    return all(recipe.get(key) == value for key, value in wanted.items() if OPTIONS[key].scope != "origin")
