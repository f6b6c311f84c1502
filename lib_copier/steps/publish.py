"""The finished LoRA under its name, with its recipe inside, a preview picture and a card beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib_copier.files.disk import read_json, write_json
from lib_copier.files.names import normal_name
from lib_copier.graph.step import Output, Result, Step, StepInput, Workplace
from lib_copier.model_file.header import read_header, replace_metadata
from lib_copier.recipe.document import document_digest, shareable
from lib_copier.recipe.model import Edit, Recipe
from lib_copier.recipe.options import OPTIONS, group
from lib_copier.settings.goals import number
from lib_copier.steps.copy_out import copy_out
from lib_copier.steps.parts import PICTURE, RESULT, fixed

RECIPE_KEY = "copier_lora_recipe"
DIGEST_KEY = "copier_lora_recipe_digest"
_SUFFIXES = (".safetensors", ".png", ".json", ".recipe.json")


def step(recipe: Recipe, edit: Edit, lora: StepInput) -> Step:
    """``publish/EDIT``: NAME.safetensors, NAME.png, NAME.json (the WebUI's card), NAME.recipe.json.

    The card tells what the sweep measured, where there is one.
    """
    name = published_name(recipe, edit)
    picture = StepInput("picture", step=f"edit/{recipe.origins[0].name}/{edit.name}", output=PICTURE)
    swept = [StepInput("sweep", step=f"sweep/{edit.name}", output=RESULT)]
    measured = swept if recipe.get("sweep.enabled") else []
    values = {
        "name": name,
        "recipe": shareable(recipe_of_edit(recipe, edit)),
        "activation_text": recipe.get("publish.activation_text", edit),
        "preferred_weight": recipe.get("publish.preferred_weight", edit),
        "notes": recipe.get("publish.notes", edit),
        "folder": recipe.get("publish.folder"),
    }
    return Step(
        f"publish/{edit.name}",
        "publish",
        _publish,
        inputs=(lora, picture, *measured),
        params=fixed(values),
        outputs=tuple(
            Output(name + suffix, kind)
            for suffix, kind in zip(_SUFFIXES, ("lora", "picture", "json", "json"), strict=True)
        ),
    )


def published_name(recipe: Recipe, edit: Edit) -> str:
    """The LoRA's name: as the recipe says, else the project's and the edit's."""
    own = str(recipe.get("publish.name", edit) or "")
    project = str(recipe.get("project.name") or "")
    return normal_name(own or (f"{project}-{edit.name}" if project else edit.name))


def published_loras(project: Path, recipe: Recipe) -> list[Path]:
    """Where the LoRAs of all edits lie, or will, outside the project; empty where they stay in it."""
    folder = str(recipe.get("publish.folder") or "")
    names = [published_name(recipe, edit) for edit in recipe.edits if folder]
    return [project / folder / f"{name}.safetensors" for name in names]


def name_faults(recipe: Recipe) -> Iterator[str]:
    """Edits that would be published under one name, on systems that tell no capitals apart either."""
    names: dict[str, str] = {}
    for edit in recipe.edits:
        name = published_name(recipe, edit)
        other = names.setdefault(name.casefold(), edit.name)
        if other != edit.name:
            yield f"edits {other!r} and {edit.name!r} would both be published as {name!r}"


def recipe_of_edit(recipe: Recipe, edit: Edit) -> Recipe:
    """The recipe as far as it made this LoRA: without the other edits, and without what changes no result.

    Equal settings give equal recipes, whether they were ever typed or not.
    """
    cosmetic = {key: option.default for key, option in OPTIONS.items() if option.is_cosmetic}
    kept = {key: value for key, value in cosmetic.items() if OPTIONS[key].scope != "origin"}
    own = tuple(
        (key, value) for key, value in edit.settings if key not in cosmetic and value != recipe.get(key)
    )
    origins = tuple(
        origin.replaced(
            **{one.name: one.default if one.is_cosmetic else origin.get(one.name) for one in group("origin")}
        )
        for origin in recipe.origins
    )
    return replace(recipe, origins=origins, edits=(replace(edit, settings=own),)).with_settings(kept)


def _publish(place: Workplace) -> Result:
    params = place.params
    name = str(params["name"])
    lora = place.out / f"{name}.safetensors"
    shutil.copyfile(place.path("lora"), lora)
    replace_metadata(lora, {**read_header(lora).metadata, **_metadata(params)})
    shutil.copyfile(place.path("picture"), place.out / f"{name}.png")
    measured = [read_json(path) for path in place.paths("sweep")]
    write_json(place.out / f"{name}.json", _card(params, *measured), indent=2)
    write_json(place.out / f"{name}.recipe.json", params["recipe"], indent=2)
    target = str(params["folder"] or "")
    if target:
        copies = (place.out / f"{name}{suffix}" for suffix in _SUFFIXES)
        copy_out(copies, place.project / target, place.project)
    return {"name": name, "folder": target}


def _metadata(params: dict[str, Any]) -> dict[str, str]:
    return {
        "ss_output_name": str(params["name"]),
        "modelspec.title": str(params["name"]),
        RECIPE_KEY: json.dumps(params["recipe"], ensure_ascii=False, sort_keys=True),
        DIGEST_KEY: document_digest(params["recipe"]),
    }


def _card(params: dict[str, Any], measured: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The sidecar that the WebUI shows and edits beside a LoRA; its version the WebUI reads from the file."""
    return {
        "description": description(measured or {}),
        "activation text": params["activation_text"],
        "preferred weight": params["preferred_weight"],
        "notes": params["notes"],
    }


def description(measured: Mapping[str, Any]) -> str:
    """What a sweep found, for whoever has nothing but the file: the effect, and what changes beside it."""
    told = [
        text.format(value)
        for name, text in _MEASURED.items()
        if (value := number(measured.get(name))) is not None
    ]
    return f"At weight 1, on pictures never seen: {', '.join(told)}." if told else ""


_MEASURED = {
    "strength": "{:.2f} of the edit",
    "rank_correlation": "follows its weight by {:.2f}",
    "leak": "leaks {:.2f} of the origin",
    "fidelity": "its change is alike the edit's own by {:.2f}",
    "rest": "{:.1f} of 255 levels change beside the edit",
    "rest_worst": "{:.1f} in the worst picture",
}
"""By the sweep's names: what is said of a number."""
