"""All rules of a recipe: every fault is found before any work starts, and all are told at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lib_copier.files.disk import is_there
from lib_copier.files.names import name_fault
from lib_copier.recipe.model import Edit, Origin, Recipe
from lib_copier.recipe.options import OPTIONS
from lib_copier.settings.option import Option, Value, split_weighted
from lib_copier.settings.training import setting_faults
from lib_copier.txt2img.pictures import PictureRequest

_FEWEST_PAIRS = 2
"""One alone shows its picture as much as its edit."""


def faults(recipe: Recipe, folder: Path) -> tuple[str, ...]:
    """Everything that keeps the recipe from being run, a few words each.

    Parameters
    ----------
    folder:
        The project's folder, which the recipe's relative paths start from. Files are looked for
        but not opened: what is in them is checked by `steps.contents`.
    """
    return (
        *_value_faults(recipe),
        *_project_faults(recipe, folder),
        *_base_faults(recipe, folder),
        *_name_faults("origin", [o.name for o in recipe.origins]),
        *_name_faults("edit", [e.name for e in recipe.edits]),
        *(fault for origin in recipe.origins for fault in _origin_faults(recipe, origin, folder)),
        *(fault for edit in recipe.edits for fault in _edit_faults(recipe, edit, folder)),
        *_training_faults(recipe),
        *(_pairs_faults(recipe) if recipe.method == "pairs" else ()),
        *_sweep_faults(recipe),
        *dict.fromkeys(_judging_faults(recipe, folder)),
    )


def _value_faults(recipe: Recipe) -> Iterator[str]:
    for key, value in recipe.settings:
        yield from _one_value(OPTIONS.get(key), key, value, "")
    for origin in recipe.origins:
        for name, value in origin.settings:
            yield from _one_value(OPTIONS.get(f"origin.{name}"), name, value, f"origin {origin.name!r}: ")
    for edit in recipe.edits:
        for key, value in edit.settings:
            yield from _one_value(OPTIONS.get(key), key, value, f"edit {edit.name!r}: ")


def _one_value(option: Option | None, key: str, value: Value, where: str) -> Iterator[str]:
    if option is None:
        yield f"{where}{key} is no setting"
        return
    try:
        option.accept(value)
    except ValueError as error:
        yield f"{where}{error}"


def _project_faults(recipe: Recipe, folder: Path) -> Iterator[str]:
    if not recipe.checkpoint:
        yield "project.checkpoint names no file"
    elif not _exists(folder, recipe.checkpoint):
        yield f"project.checkpoint {recipe.checkpoint} does not exist"
    for key in ("project.vae", "sweep.checkpoint"):
        path = str(recipe.get(key) or "")
        if path and not _exists(folder, path):
            yield f"{key} {path} does not exist"
    if not recipe.origins:
        yield "there is no origin picture"
    if not recipe.edits:
        yield "there is no edit"


def _base_faults(recipe: Recipe, folder: Path) -> Iterator[str]:
    for text in recipe.texts("base.loras"):
        try:
            path, _weight = split_weighted(text)
        except ValueError as error:
            yield f"base.loras: {error}"
            continue
        if not _exists(folder, path):
            yield f"base.loras: {path} does not exist"
    if recipe.get("base.train_style"):
        given = str(recipe.get("base.folder") or "")
        if not given:
            yield "base.folder names no folder of pictures"
        elif not is_there(folder / given, as_folder=True):
            yield f"base.folder {given} is no folder"


def _name_faults(what: str, names: list[str]) -> Iterator[str]:
    for name in names:
        fault = name_fault(name)
        if fault:
            yield f"the name of {what} {name!r} {fault}"
    counted = Counter(name.casefold() for name in names)
    for name, count in counted.items():
        if count > 1:
            yield f"{count} {what}s are named {name!r}"


def _origin_faults(recipe: Recipe, origin: Origin, folder: Path) -> Iterator[str]:
    where = f"origin {origin.name!r}:"
    if origin.is_given:
        file = str(origin.get("file") or "")
        if not file:
            is_awaited = origin.get("source") == "webui"
            yield f"{where} {'the WebUI has not made it' if is_awaited else 'origin.file names no picture'}"
        elif not _exists(folder, file):
            yield f"{where} picture {file} does not exist"
    else:
        if not str(origin.get("prompt")).strip():
            yield f"{where} origin.prompt is empty"
        for fault in _prompt_faults(recipe, str(origin.get("prompt")), str(origin.get("negative_prompt"))):
            yield f"{where} origin.{fault}"
        for side in ("width", "height"):
            if _number(origin.get(side)) % 8:
                yield f"{where} origin.{side} {origin.get(side)} is no multiple of 8"
    if origin.get("caption_source") == "typed" and not str(origin.get("caption")).strip():
        yield f"{where} origin.caption is empty; choose caption_source none to train without one"


def _edit_faults(recipe: Recipe, edit: Edit, folder: Path) -> Iterator[str]:
    where = f"edit {edit.name!r}:"
    known = {origin.name for origin in recipe.origins}
    for origin, file in edit.files:
        if origin not in known:
            yield f"{where} it has a picture for {origin!r}, which is no origin"
        elif not file or not _exists(folder, file):
            yield f"{where} picture {file or '(none)'} for origin {origin!r} does not exist"
    yield from (f"{where} {fault}" for fault in _effect_faults(edit))
    if any(key.startswith("edit_lora.") for key, _value in edit.settings):
        for fault in setting_faults(recipe.group("edit_lora", edit)):
            yield f"{where} edit_lora.{fault}"
    if not edit.effects:
        for origin in sorted(known - {name for name, _file in edit.files}):
            yield f"{where} it has neither an effect nor a picture for origin {origin!r}"
    low, high = (recipe.number(f"sweep.weight_{end}", edit) for end in ("min", "max"))
    if low >= high:
        yield f"{where} sweep.weight_min {low:g} is not below sweep.weight_max {high:g}"
    other = str(recipe.get("sweep.checkpoint", edit) or "")
    if dict(edit.settings).get("sweep.checkpoint") and not _exists(folder, other):
        yield f"{where} sweep.checkpoint {other} does not exist"


def _effect_faults(edit: Edit) -> Iterator[str]:
    try:
        # Here, not above: the registry brings numpy and OpenCV along, which plain reading must not need.
        from lib_copier.image.effect import EffectUse
        from lib_copier.image.effects import chain_faults
    except ImportError:
        return
    yield from chain_faults(EffectUse(e.name, e.strength, e.params) for e in edit.effects)


def _trained(recipe: Recipe) -> Iterator[str]:
    """The groups of settings that this recipe trains by."""
    if recipe.method != "pairs":
        yield "copier"
    if recipe.method != "difference":
        yield "edit_lora"
    if recipe.get("base.train_style"):
        yield "base"


def _training_faults(recipe: Recipe) -> Iterator[str]:
    for name in _trained(recipe):
        yield from (f"{name}.{fault}" for fault in setting_faults(recipe.group(name)))


def _pairs_faults(recipe: Recipe) -> Iterator[str]:
    """What method C cannot do."""
    own = recipe.get("edit_lora.engine")
    if (recipe.get("project.engine") if own == "project" else own) == "sd-scripts":
        yield "edit_lora.engine: sd-scripts learns no pairs; take embedded, or another project.method"
    for edit in recipe.as_made().edits:
        if not edit.effects and len(recipe.origins) < _FEWEST_PAIRS:
            yield (
                f"edit {edit.name!r}: method pairs learns retouching from {_FEWEST_PAIRS} pairs or more; add "
                "origins, or set project.method to copier"
            )


def _prompt_faults(recipe: Recipe, prompt: str, negative_prompt: str = "") -> Iterator[str]:
    yield from PictureRequest(prompt, negative_prompt).with_named_loras(recipe.lora_named).prompt_faults()


def _judging_faults(recipe: Recipe, folder: Path) -> Iterator[str]:
    """What keeps the pictures of check and sweep from being made."""
    asked: list[tuple[str, Edit | None, str]] = [("check", None, ""), ("sweep", None, "")]
    asked += [("sweep", edit, f"edit {edit.name!r}: ") for edit in recipe.edits]
    for text in recipe.texts("pictures.prompts") if recipe.method == "pairs" else ():
        yield from (f"pictures.{fault}" for fault in _prompt_faults(recipe, text))
    for group, edit, where in asked:
        negative = str(recipe.get(f"{group}.negative_prompt", edit))
        for text in recipe.texts(f"{group}.prompts", edit) or ("",):
            yield from (f"{where}{group}.{fault}" for fault in _prompt_faults(recipe, text, negative))
    for path in recipe.texts("project.loras"):
        if not _exists(folder, path):
            yield f"project.loras: {path} does not exist"


def _sweep_faults(recipe: Recipe) -> Iterator[str]:
    for key in ("sweep.width", "sweep.height"):
        if recipe.whole(key) % 8:
            yield f"{key} {recipe.get(key)} is no multiple of 8"


def _number(value: Value) -> float:
    return value if isinstance(value, (int, float)) else 0


def _exists(folder: Path, given: str) -> bool:
    return is_there(folder / given)
