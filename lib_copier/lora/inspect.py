"""`lora info` and `lora verify`: what a file is, and everything that is wrong with it."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from pathlib import Path
from typing import Any

from lib_copier.checkpoint import facts_from
from lib_copier.disk import parse_json
from lib_copier.errors import CopierError, FaultsError, InputError
from lib_copier.families import detect_lora_family
from lib_copier.lora.console import Console
from lib_copier.lora.dialect import sort_keys
from lib_copier.lora.file import read_lora, stored_hashes_fit
from lib_copier.lora.header import Header, read_header
from lib_copier.lora.layer import Lora
from lib_copier.lora.lowrank import product_energy
from lib_copier.lora.metadata import ERROR_KEY, RECIPE_KEY
from lib_copier.lora.parallel import in_parallel

_TOLD_METADATA = (
    "ss_output_name",
    "ss_base_model_version",
    "ss_sd_model_name",
    "ss_network_dim",
    "ss_network_alpha",
    "ss_steps",
    "ss_learning_rate",
    "ss_training_comment",
    "modelspec.title",
    "modelspec.architecture",
    "modelspec.prediction_type",
    "modelspec.date",
    "sshs_model_hash",
    "sshs_legacy_hash",
)


def info(arguments: argparse.Namespace, console: Console) -> int:
    """`lora info`: a LoRA's layers, ranks and norms, or a checkpoint's family."""
    path = Path(arguments.file)
    header = read_header(path)
    is_lora = any("lora" in key or key.endswith(".alpha") for key in header.tensors)
    found = describe_lora(read_lora(path)) if is_lora else describe_checkpoint(header, path)
    found = {"file": str(path), "bytes": header.file_size, **found}
    found["dtypes"] = dict(Counter(tensor.dtype for tensor in header.tensors.values()))
    found["metadata"] = {key: header.metadata[key] for key in _TOLD_METADATA if key in header.metadata}
    for key, name in ((RECIPE_KEY, "recipe"), (ERROR_KEY, "error")):
        if key in header.metadata:
            found[name] = _json_or_text(header.metadata[key])
    console.done(_lines(found), found)
    return 0


def describe_lora(lora: Lora) -> dict[str, Any]:
    """Layers, ranks, alphas and norms (strength included) of a LoRA."""

    def energy(name: str) -> float:
        layer = lora.layers[name]
        return layer.scale**2 * product_energy(*layer.factors())

    energies = {name: value for name, value in in_parallel(energy, lora.layers)}
    parts: dict[str, float] = {}
    for name, value in energies.items():
        part = "text encoder" if "text_model" in name else "U-Net"
        parts[part] = parts.get(part, 0.0) + value
    strongest = sorted(energies, key=lambda name: -energies[name])[:5]
    layers = lora.layers.values()
    return {
        "kind": "LoCon" if any(layer.is_spatial for layer in layers) else "LoRA",
        "family": lora.family.label if lora.family else None,
        "layers": len(lora.layers),
        "ranks": _counts(layer.rank for layer in layers),
        "alphas": _counts("none" if layer.alpha is None else layer.alpha for layer in layers),
        "norm": math.sqrt(math.fsum(energies.values())),
        "norms": {part: math.sqrt(value) for part, value in parts.items()},
        "strongest_layers": {name: math.sqrt(energies[name]) for name in strongest},
    }


def describe_checkpoint(header: Header, path: Path) -> dict[str, Any]:
    """Family and kind of a checkpoint."""
    facts = facts_from(header.shapes, header.metadata, path, allow_inpainting=True)
    return {
        "kind": "inpainting checkpoint" if facts.is_inpainting else "checkpoint",
        "family": facts.family.label,
        "prediction": facts.prediction or "not told",
        "resolution": facts.resolution,
        "vae": facts.has_vae,
        "text_encoders": facts.has_text_encoders,
        "tensors": len(header.tensors),
    }


def _counts(values: Any) -> dict[str, int]:
    counted = Counter(values)
    return {str(value): counted[value] for value in sorted(counted, key=str)}


def _json_or_text(text: str) -> Any:
    try:
        return parse_json(text, "an entry")
    except InputError:
        return text


def _lines(found: dict[str, Any]) -> list[str]:
    lines = []
    for key, value in found.items():
        if isinstance(value, dict):
            lines.append(f"{key}:")
            lines += [f"  {name}: {_told(item)}" for name, item in value.items()]
        else:
            lines.append(f"{key}: {_told(value)}")
    return lines


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "not told" if value is None else str(value)


def verify(arguments: argparse.Namespace, console: Console) -> int:
    """`lora verify`: exit code 1 and every fault, or 0."""
    path = Path(arguments.file)
    if not path.is_file():
        raise InputError(f"{path}: no such file.", "Check the path.")
    faults = find_all_faults(path)
    told = [f"{path}: {fault}" for fault in faults] or [f"{path}: sound"]
    console.done(told, {"file": str(path), "sound": not faults, "faults": faults})
    return 1 if faults else 0


def find_all_faults(path: Path) -> list[str]:
    """Everything wrong with a LoRA file: header, keys, shapes, numbers, hashes, and what metadata claim."""
    try:
        header = read_header(path)
        family = detect_lora_family(header.shapes, header.metadata)
        sort_keys(header.tensors, family, str(path))
        lora = read_lora(path)
    except FaultsError as error:
        return [*error.faults]
    except CopierError as error:
        return [error.what]
    faults = stored_hashes_fit(path, header.metadata)
    ranks = {layer.rank for layer in lora.layers.values() if not layer.is_spatial}
    told = header.metadata.get("ss_network_dim")
    # The largest counts: sd-scripts gives a layer that holds only zeros rank 1 and says nothing of it.
    if told is not None and told != "Dynamic" and ranks and str(max(ranks)) != told:
        faults.append(f"ss_network_dim is {told}, but the ranks are {', '.join(map(str, sorted(ranks)))}")
    if lora.family is not None and "ss_base_model_version" in header.metadata:
        version = header.metadata["ss_base_model_version"]
        if not version.startswith(lora.family.base_model_version.split("_b")[0]):
            faults.append(f"ss_base_model_version is {version}, but the layers are {lora.family.label}'s")
    return faults
