"""The recipe as JSON: written, read with every fault collected, and lifted from older schemas."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from lib_copier.errors import FaultsError
from lib_copier.files.disk import json_text, parse_json
from lib_copier.files.names import name_fault
from lib_copier.recipe.migrations import migrate
from lib_copier.recipe.model import SCHEMA, Edit, Effect, Origin, Recipe, settings_of
from lib_copier.recipe.options import GROUPS, OPTIONS
from lib_copier.settings.option import Value

_MOST_ITEMS = 1000
_PATH_KEYS = tuple(key for key, one in OPTIONS.items() if one.kind == "path" and one.scope != "origin")
_PATHS_KEYS = tuple(key for key, one in OPTIONS.items() if one.kind == "paths")
_OWN_PATH = "sweep.checkpoint"
"""The path that an edit may have for itself."""


def to_document(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain JSON data: settings nested by group, then the origins and edits."""
    nested: dict[str, dict[str, Any]] = {name: {} for name in GROUPS if name != "origin"}
    for key, value in recipe.settings:
        nested[OPTIONS[key].group][OPTIONS[key].name] = _json(value)
    return {
        "schema": SCHEMA,
        **nested,
        "origins": [{"name": o.name, **{k: _json(v) for k, v in o.settings}} for o in recipe.origins],
        "edits": [_edit_document(edit) for edit in recipe.edits],
    }


def readable_document(recipe: Recipe, subject: str) -> dict[str, Any]:
    """`to_document`, sure to be read again: what could not be would lock its own project out.

    Raises InputError where it could not.
    """
    document = to_document(recipe)
    parse_json(json_text(document), subject, advice="Nothing was changed.")
    from_document(document, subject)
    return document


def _edit_document(edit: Edit) -> dict[str, Any]:
    effects = [{"name": e.name, "strength": e.strength, "params": dict(e.params)} for e in edit.effects]
    settings = {key: _json(value) for key, value in edit.settings}
    return {"name": edit.name, "effects": effects, "files": dict(edit.files), "settings": settings}


def digest(recipe: Recipe) -> str:
    """What identifies a recipe wherever it lies: SHA-256 over its JSON with bare file names."""
    return document_digest(shareable(recipe))


def document_digest(document: Mapping[str, Any]) -> str:
    """The same for a recipe's shareable JSON."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def shareable(recipe: Recipe) -> dict[str, Any]:
    """The recipe's JSON without what is private to a machine: folders of paths are cut off."""
    found = to_document(recipe)
    for key in _PATH_KEYS:
        group, name = key.split(".")
        own = str(found[group].get(name, ""))
        found[group][name] = own if own == OPTIONS[key].default else _bare(own)
    found["publish"]["folder"] = ""
    for group in ("base", "project"):
        found[group]["loras"] = [_bare(item) for item in found[group].get("loras", [])]
    for origin in found["origins"]:
        if origin.get("file"):
            origin["file"] = _bare(origin["file"])
    for edit in found["edits"]:
        edit["files"] = {origin: _bare(file) for origin, file in edit["files"].items()}
        if edit["settings"].get(_OWN_PATH):
            edit["settings"][_OWN_PATH] = _bare(edit["settings"][_OWN_PATH])
    return found


def from_elsewhere(given: Any, subject: str) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe of a LoRA or a file from elsewhere, and what it named by paths: ``ADDRESS: LAST PART``.

    No such path may lead to anything here, so all are forgotten and have to be given again.

    Raises
    ------
    FaultsError
        Every fault of the recipe at once.
    """
    recipe = from_document(given, subject)
    usual = {key: OPTIONS[key].default for key in _PATH_KEYS}
    found: list[tuple[str, Value]] = [
        (key, recipe.get(key)) for key in _PATH_KEYS if recipe.get(key) != usual[key]
    ]
    found += [(key, item) for key in _PATHS_KEYS for item in recipe.texts(key)]
    found += [(f"origins.{origin.name}.file", origin.get("file")) for origin in recipe.origins]
    for edit in recipe.edits:
        found += [(f"edits.{edit.name}.files.{origin}", path) for origin, path in edit.files]
        found.append((f"edits.{edit.name}.{_OWN_PATH}", dict(edit.settings).get(_OWN_PATH)))
    origins = tuple(origin.replaced(file="") if origin.get("file") else origin for origin in recipe.origins)
    edits = tuple(
        replace(
            edit,
            files=tuple((origin, "") for origin, _path in edit.files),
            settings=tuple(item for item in edit.settings if item[0] != _OWN_PATH),
        )
        for edit in recipe.edits
    )
    bare = replace(recipe, origins=origins, edits=edits).with_settings(
        {**usual, **dict.fromkeys(_PATHS_KEYS, ())}
    )
    return bare, tuple(f"{address}: {_bare(str(path))}" for address, path in found if path)


def _bare(path: str) -> str:
    """The last part of a path written on any system."""
    return PurePath(path.replace("\\", "/")).name


@dataclass
class _Reader:
    """Reads a document; what it cannot read it notes and leaves at its default."""

    faults: list[str] = field(default_factory=list)

    def value(self, key: str, given: Any, where: str) -> Value:
        try:
            return OPTIONS[key].accept(given)
        except ValueError as error:
            self.faults.append(f"{where}{error}")
            return OPTIONS[key].default

    def name(self, given: str, where: str) -> str:
        fault = name_fault(given)
        if fault:
            self.faults.append(f"{where}its name {fault}")
        return given

    def objects(self, given: Any, where: str) -> list[Mapping[str, Any]]:
        if not isinstance(given, list) or len(given) > _MOST_ITEMS:
            self.faults.append(f"{where} is no list of at most {_MOST_ITEMS} objects")
            return []
        good: list[Mapping[str, Any]] = [
            item for item in given if isinstance(item, dict) and isinstance(item.get("name"), str)
        ]
        if len(good) < len(given):
            self.faults.append(f"{where} holds something that is no object with a name")
        return good

    def group(self, name: str, given: Any) -> dict[str, Value]:
        if not isinstance(given, dict):
            self.faults.append(f"{name} is no object")
            return {}
        known = {key: value for key, value in given.items() if f"{name}.{key}" in OPTIONS}
        self.faults += [f"{name}.{key} is no setting" for key in given if key not in known]
        return {f"{name}.{key}": self.value(f"{name}.{key}", value, "") for key, value in known.items()}

    def origin(self, given: Mapping[str, Any]) -> Origin:
        where = f"origin {given['name']!r}: "
        values = {}
        for key, value in given.items():
            if key == "name":
                continue
            if f"origin.{key}" in OPTIONS:
                values[key] = self.value(f"origin.{key}", value, where)
            else:
                self.faults.append(f"{where}{key} is no setting")
        return Origin(self.name(given["name"], where), settings_of(values))

    def edit(self, given: Mapping[str, Any]) -> Edit:
        where = f"edit {given['name']!r}"
        for key in set(given) - {"name", "effects", "files", "settings"}:
            self.faults.append(f"{where}: {key} is no part of an edit")
        effects = tuple(
            self.effect(one, f"{where}, effect {one['name']!r}")
            for one in self.objects(given.get("effects", []), f"{where}: effects")
        )
        files = given.get("files", {})
        if not isinstance(files, dict) or not all(isinstance(v, str) for v in files.values()):
            self.faults.append(f"{where}: files is no object of paths by origin")
            files = {}
        settings = given.get("settings", {})
        if not isinstance(settings, dict):
            self.faults.append(f"{where}: settings is no object")
            settings = {}
        own = {}
        for key, value in settings.items():
            if key in OPTIONS and OPTIONS[key].scope == "edit":
                own[key] = self.value(key, value, f"{where}: ")
            else:
                self.faults.append(f"{where}: {key} is no setting that an edit may have for itself")
        return Edit(
            self.name(given["name"], f"{where}: "), effects, tuple(sorted(files.items())), settings_of(own)
        )

    def effect(self, given: Mapping[str, Any], where: str) -> Effect:
        for key in set(given) - {"name", "strength", "params"}:
            self.faults.append(f"{where}: {key} is no part of an effect")
        params = given.get("params", {})
        if not isinstance(params, dict):
            self.faults.append(f"{where}: params is no object")
            params = {}
        good = {key: value for key, value in params.items() if _is_number(value)}
        self.faults += [f"{where}: {key} is no number" for key in params if key not in good]
        strength = given.get("strength", 1.0)
        if not _is_number(strength):
            self.faults.append(f"{where}: strength is no number")
            strength = 1.0
        return Effect(given["name"], strength, tuple(sorted(good.items())))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def read_document(given: Any) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe in JSON data, and every fault found in it (what is faulty stays at its default)."""
    if not isinstance(given, dict):
        return Recipe(), ("a recipe is a JSON object",)
    lifted = migrate(given)
    reader = _Reader()
    values: dict[str, Value] = {}
    for key, part in lifted.items():
        if key in GROUPS and key != "origin":
            values |= reader.group(key, part)
        elif key not in {"schema", "origins", "edits"}:
            reader.faults.append(f"{key} is no part of a recipe")
    origins = tuple(reader.origin(o) for o in reader.objects(lifted.get("origins", []), "origins"))
    edits = tuple(reader.edit(e) for e in reader.objects(lifted.get("edits", []), "edits"))
    for what, named in (("origin", origins), ("edit", edits)):
        names = Counter(one.name for one in named)
        reader.faults += [f"{count} {what}s are named {name!r}" for name, count in names.items() if count > 1]
    return Recipe(origins, edits).with_settings(values), tuple(reader.faults)


def from_document(given: Any, subject: str = "recipe") -> Recipe:
    """The recipe in JSON data.

    Raises
    ------
    FaultsError
        Every fault at once.
    """
    recipe, faults = read_document(given)
    if faults:
        raise FaultsError(subject, faults, "Mend them, then try again.")
    return recipe


def _json(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value
