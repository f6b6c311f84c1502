"""What a LoRA file says of itself: `ss_*` and `modelspec.*` as sd-scripts has them, and how it was made."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_copier import __version__
from lib_copier.files.disk import found_object
from lib_copier.lora.layer import Adapter, Layer
from lib_copier.lora.precision import Array, dtype_name
from lib_copier.model_file.checkpoint import PREDICTION_KEY
from lib_copier.model_file.families import SD2, SDXL, Family
from lib_copier.model_file.header import laid_out, legacy_window, old_webui_hash

RECIPE_KEY = "copier_lora_recipe"
ERROR_KEY = "copier_lora_error"
# Where diffusers keeps an adapter's settings.
SETTINGS_KEY = "lora_adapter_metadata"
_MODULE = "networks.lora"
HASH_KEYS = ("sshs_model_hash", "sshs_legacy_hash")


def with_network(metadata: Mapping[str, str], layers: Mapping[str, Layer]) -> dict[str, str]:
    """The metadata with rank and alpha as the layers have them; "Dynamic" where they differ."""
    plain = [layer for layer in layers.values() if not layer.is_spatial]
    spatial = [layer for layer in layers.values() if layer.is_spatial]
    # Settings for another kind, or for alphas that now stand in tensors, would be read as this file's.
    notes = {key: value for key, value in metadata.items() if key != SETTINGS_KEY}
    if notes.get("ss_network_module", _MODULE) != _MODULE:
        notes.pop("ss_network_args", None)
    notes["ss_network_module"] = _MODULE
    notes["ss_network_dim"] = _one(str(layer.rank) for layer in plain or spatial)
    notes["ss_network_alpha"] = _one(_alpha(layer) for layer in plain or spatial)
    if spatial:
        arguments = _object(notes.get("ss_network_args"))
        arguments["conv_dim"] = _one(str(layer.rank) for layer in spatial)
        arguments["conv_alpha"] = _one(_alpha(layer) for layer in spatial)
        notes["ss_network_args"] = json.dumps(arguments)
    return notes


def _alpha(layer: Layer) -> str:
    return str(float(layer.rank if layer.alpha is None else layer.alpha))


def _one(values: Iterable[str]) -> str:
    found = set(values)
    return found.pop() if len(found) == 1 else "Dynamic"


def _object(text: str | None) -> dict[str, Any]:
    return found_object(text or "{}")


def with_hashes(metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> dict[str, str]:
    """The metadata with both `sshs_*` hashes of these tensors, as sd-scripts computes them."""
    notes = {key: value for key, value in metadata.items() if key not in HASH_KEYS}
    infos = laid_out({key: (dtype_name(array), array.shape) for key, array in tensors.items()})
    window, start, stop = legacy_window(infos, notes)
    digest = hashlib.sha256()
    for key, info in infos.items():
        content = tensors[key].tobytes()
        digest.update(content)
        first, last = max(info.start, start), min(info.end, stop)
        if first < last:
            window += content[first - info.start : last - info.start]
    notes["sshs_model_hash"] = digest.hexdigest()
    notes["sshs_legacy_hash"] = hashlib.sha256(window).hexdigest()[:8]
    return notes


def family_notes(family: Family | None, metadata: Mapping[str, str] | None = None) -> dict[str, str]:
    """`ss_base_model_version` and `ss_v2`: kept where an input has them, else by the family."""
    told = metadata or {}
    notes = {key: told[key] for key in ("ss_base_model_version", "ss_v2") if key in told}
    if family is not None:
        notes.setdefault("ss_base_model_version", family.base_model_version)
        notes.setdefault("ss_v2", str(family is SD2))
    return notes


def model_spec(
    path: Path, family: Family | None, *, prediction: str | None = None, merged_from: Sequence[str] = ()
) -> dict[str, str]:
    """The `modelspec.*` entries of a LoRA, and the name under which the WebUI lists it."""
    notes = {
        "ss_output_name": path.stem,
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.title": path.stem,
        "modelspec.date": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
    }
    if family is not None:
        stability = "https://github.com/Stability-AI/generative-models"
        notes["modelspec.architecture"] = f"{family.architecture}/lora"
        notes["modelspec.implementation"] = stability if family is SDXL else "diffusers"
        notes["modelspec.resolution"] = f"{family.resolution}x{family.resolution}"
    if prediction is not None:
        notes[PREDICTION_KEY] = prediction
    if merged_from:
        notes["modelspec.merged_from"] = ", ".join(merged_from)
    return notes


def combined_metadata(loras: Sequence[Adapter], path: Path, *, has_metadata: bool = True) -> dict[str, str]:
    """Metadata for a LoRA that several were combined into; only the least with `has_metadata` False."""
    told: dict[str, str] = {}
    for lora in reversed(loras):
        told.update(lora.metadata)
    family = next((lora.family for lora in loras if lora.family is not None), None)
    notes = family_notes(family, told)
    if has_metadata:
        predictions = {lora.metadata.get(PREDICTION_KEY) for lora in loras}
        names = [lora.metadata.get("modelspec.title") or Path(lora.name).stem for lora in loras]
        notes |= model_spec(
            path,
            family,
            prediction=predictions.pop() if len(predictions) == 1 else None,
            merged_from=names,
        )
    return notes


def resized_metadata(lora: Adapter, path: Path, comment: str) -> dict[str, str]:
    """Metadata for a resized LoRA: its own, with what changed told first in the training comment."""
    before = lora.metadata.get("ss_training_comment", "")
    notes = lora.metadata | family_notes(lora.family, lora.metadata)
    notes |= {"ss_training_comment": f"{comment}; {before}", "ss_output_name": path.stem}
    notes |= {
        key: value
        for key, value in model_spec(path, lora.family).items()
        if key not in lora.metadata or key in ("modelspec.title", "modelspec.date")
    }
    notes.pop("modelspec.hash_sha256", None)
    return notes


def recipe_note(
    command: str, inputs: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> dict[str, str]:
    """How a file was made, under one key: command, inputs by name and hash, options, and their digest.

    No folder goes into it: files are shared, and folders name people.
    """
    recipe: dict[str, Any] = {
        "command": command,
        "version": __version__,
        "inputs": [dict(item) for item in inputs],
        "options": {key: value for key, value in options.items() if value is not None},
    }
    canonical = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    recipe["digest"] = hashlib.sha256(canonical.encode()).hexdigest()
    return {RECIPE_KEY: json.dumps(recipe)}


def input_note(lora: Adapter, ratio: float | None = None) -> dict[str, Any]:
    """One input of a recipe: file name, content hash, ratio, and the digest of its own recipe."""
    note: dict[str, Any] = {"name": Path(lora.name).name, "hash": lora.metadata.get("sshs_model_hash")}
    note["recipe"] = _object(lora.metadata.get(RECIPE_KEY)).get("digest")
    note["ratio"] = ratio
    return {key: value for key, value in note.items() if value is not None}


def file_note(path: Path | str) -> dict[str, Any]:
    """A checkpoint as an input of a recipe: its file name and the WebUI's short hash."""
    return {"name": Path(path).name, "hash": old_webui_hash(path)}


def checkpoint_metadata(
    before: Mapping[str, str],
    loras: Sequence[Adapter],
    path: Path,
    *,
    has_new: bool,
    is_v_prediction: bool = False,
) -> dict[str, str]:
    """A merged checkpoint's metadata: the original's, without the hash that no longer fits.

    What it predicts stands in it whoever told that of the original: a yaml is not written with the file.
    """
    notes = {key: value for key, value in before.items() if key != "modelspec.hash_sha256"}
    if is_v_prediction:
        notes[PREDICTION_KEY] = "v"
    if has_new:
        names = [Path(lora.name).stem for lora in loras]
        notes |= {
            "modelspec.sai_model_spec": before.get("modelspec.sai_model_spec", "1.0.1"),
            "modelspec.title": path.stem,
            "modelspec.date": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
            "modelspec.merged_from": ", ".join([before.get("modelspec.title", "checkpoint"), *names]),
        }
    return notes


def extracted_metadata(
    family: Family | None, path: Path, *, is_v_prediction: bool, has_metadata: bool
) -> dict[str, str]:
    """Metadata for a LoRA extracted from two checkpoints."""
    notes = family_notes(family)
    if has_metadata:
        notes |= model_spec(path, family, prediction="v" if is_v_prediction else None)
    return notes
