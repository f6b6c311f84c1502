"""Recipes of older schemas in the present one, a step a schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lib_copier.errors import InputError
from lib_copier.recipe.model import SCHEMA
from lib_copier.recipe.options import OPTIONS


def migrate(given: Mapping[str, Any]) -> dict[str, Any]:
    """The document in the present schema; one without a number is of schema 0.

    Raises
    ------
    InputError
        Where a later version of this program wrote it.
    """
    document = dict(given)
    schema = document.get("schema", 0)
    if not isinstance(schema, int) or isinstance(schema, bool) or schema > SCHEMA or schema < 0:
        raise InputError(
            f"The recipe has schema {schema!r}, this version reads up to {SCHEMA}.", "Update Copier LoRA."
        )
    for step in range(schema, SCHEMA):
        document = _MIGRATIONS[step](document)
        document["schema"] = step + 1
    return document


def _from_flat(document: dict[str, Any]) -> dict[str, Any]:
    """Schema 0, written by hand or by scripts: settings may stand under their dotted keys."""
    lifted: dict[str, Any] = {}
    for key, value in document.items():
        group, dot, name = key.partition(".")
        if dot and key in OPTIONS and isinstance(lifted.setdefault(group, {}), dict):
            lifted[group][name] = value
        elif isinstance(value, dict) and isinstance(lifted.get(key), dict):
            lifted[key] = {**value, **lifted[key]}
        else:
            lifted[key] = value
    return lifted


def _with_calibration(document: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 knew a gain only typed, as ``merge.gain``; the usual 1 gives way to the measured one."""
    merge, lifted = document.get("merge"), dict(document)
    if isinstance(merge, dict) and (gain := merge.get("gain")) is not None:
        lifted["merge"] = {name: value for name, value in merge.items() if name != "gain"}
        lifted |= {"calibrate": {"gain": gain}} if gain != 1.0 else {}
    edits = document.get("edits")
    if isinstance(edits, list):
        lifted["edits"] = [_edit_with_calibration(edit) for edit in edits]
    return lifted


def _edit_with_calibration(edit: Any) -> Any:
    settings = edit.get("settings") if isinstance(edit, dict) else None
    if not isinstance(settings, dict) or "merge.gain" not in settings:
        return edit
    renamed = {("calibrate.gain" if key == "merge.gain" else key): one for key, one in settings.items()}
    return {**edit, "settings": renamed}


_MIGRATIONS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_from_flat, _with_calibration)
"""Entry N lifts schema N to N + 1."""
