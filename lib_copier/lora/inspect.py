"""`lora info` and `lora verify`: what a file is, and everything that is wrong with it."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from lib_copier.errors import CopierError, FaultsError, InputError
from lib_copier.files.disk import parse_json
from lib_copier.lora.adapters import Dora
from lib_copier.lora.console import Console
from lib_copier.lora.dialect import holds_adapter
from lib_copier.lora.file import read_adapter, stored_hashes_fit
from lib_copier.lora.layer import Adapter, Layer, WeightChange
from lib_copier.lora.lowrank import product_energy
from lib_copier.lora.metadata import ERROR_KEY, RECIPE_KEY
from lib_copier.lora.parallel import in_parallel
from lib_copier.lora.peft import adapter_file
from lib_copier.lora.precision import is_finite
from lib_copier.lora.source import PICKLE_SUFFIXES, open_checkpoint
from lib_copier.model_file.checkpoint import facts_from
from lib_copier.model_file.header import Header, read_header
from lib_copier.model_file.keys import UNET_PREFIX, known_names

_RUN_ELEMENTS = 1 << 20
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
    header = read_header(adapter_file(path))
    is_adapter = holds_adapter(header.tensors)
    found = describe_lora(read_adapter(path)) if is_adapter else describe_checkpoint(header, path)
    found = {"file": str(path), "bytes": header.file_size, **found}
    found["dtypes"] = dict(Counter(tensor.dtype for tensor in header.tensors.values()))
    found["metadata"] = {key: header.metadata[key] for key in _TOLD_METADATA if key in header.metadata}
    for key, name in ((RECIPE_KEY, "recipe"), (ERROR_KEY, "error")):
        if key in header.metadata:
            found[name] = _json_or_text(header.metadata[key])
    console.done(_lines(found), found)
    return 0


def describe_lora(lora: Adapter) -> dict[str, Any]:
    """Kind, layers, ranks, alphas and norms (strength included) of a LoRA or another adapter.

    What depends on a checkpoint's weights has no norm of its own, and counts as nothing.
    """

    def energy(name: str) -> float:
        layer = lora.layers[name]
        if isinstance(layer, Layer):
            return layer.scale**2 * product_energy(*layer.factors())
        return 0.0 if layer.needs_weight else _energy(layer)

    energies = {name: value for name, value in in_parallel(energy, lora.layers)}
    parts: dict[str, float] = {}
    for name, value in energies.items():
        part = "text encoder" if "text_model" in name else "U-Net"
        parts[part] = parts.get(part, 0.0) + value
    strongest = sorted(energies, key=lambda name: -energies[name])[:5]
    layers = lora.layers.values()
    is_spatial = any(layer.is_spatial for layer in layers)
    return {
        "kind": " + ".join(dict.fromkeys(_kind(layer, is_spatial) for layer in layers)),
        "family": lora.family.label if lora.family else None,
        "layers": len(lora.layers),
        "ranks": _counts(layer.rank for layer in layers if not layer.is_vector),
        "alphas": _counts(
            "none" if layer.alpha is None else layer.alpha for layer in layers if isinstance(layer, Layer)
        ),
        "norm": math.sqrt(math.fsum(energies.values())),
        "norms": {part: math.sqrt(value) for part, value in parts.items()},
        "strongest_layers": {name: math.sqrt(energies[name]) for name in strongest},
    }


def _kind(layer: WeightChange, is_spatial: bool) -> str:
    if layer.is_vector:
        return "biases and norms"
    if isinstance(layer, Dora) and not isinstance(layer.inner, Layer):
        return f"{layer.kind} on {layer.inner.kind}"
    return "LoCon" if isinstance(layer, Layer) and is_spatial else layer.kind


def _energy(layer: WeightChange) -> float:
    """The squared norm of a change that is no plain LoRA layer, a run of rows at a time."""
    out, width = layer.size
    step = max(1, _RUN_ELEMENTS // max(1, width))
    runs = (layer.rows(first, min(out, first + step)) for first in range(0, out, step))
    return math.fsum(float(np.square(rows, dtype=np.float64).sum()) for rows in runs)


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
    if not path.exists():
        raise InputError(f"{path}: no such file.", "Check the path.")
    faults = find_all_faults(path)
    told = [f"{path}: {fault}" for fault in faults] or [f"{path}: sound"]
    console.done(told, {"file": str(path), "sound": not faults, "faults": faults})
    return 1 if faults else 0


def _is_checkpoint(path: Path) -> bool:
    """Whether a file is to be looked at as a checkpoint: pickled, or with a U-Net's tensors."""
    if path.is_dir() or path.suffix.lower() in PICKLE_SUFFIXES:
        return not path.is_dir()
    return any(name.startswith(UNET_PREFIX) for name in known_names(read_header(path).tensors))


def _checkpoint_faults(path: Path) -> list[str]:
    """What a checkpoint is refused for, or all its tensors that hold NaN or infinity."""
    with closing(open_checkpoint(path)) as source:
        facts_from(source.header.shapes, source.header.metadata, path, allow_inpainting=True)
        checked = in_parallel(lambda name: is_finite(source.read(name)), source.header.tensors)
        broken = {name for name, is_sound in checked if not is_sound}
    return [f"{name} holds NaN or infinity" for name in source.header.tensors if name in broken]


def find_all_faults(path: Path) -> list[str]:
    """All that is wrong with a file: header, keys, shapes, numbers, hashes, what a LoRA's metadata claim."""
    try:
        if _is_checkpoint(path):
            return _checkpoint_faults(path)
        lora = read_adapter(path)
    except FaultsError as error:
        return [*error.faults]
    except CopierError as error:
        return [error.what]
    faults = stored_hashes_fit(adapter_file(path), lora.metadata)
    is_plain = all(isinstance(layer, Layer) for layer in lora.layers.values())
    ranks = {layer.rank for layer in lora.layers.values() if is_plain and not layer.is_spatial}
    told = lora.metadata.get("ss_network_dim")
    # The largest counts: sd-scripts gives a layer that holds only zeros rank 1 and says nothing of it.
    if told is not None and told != "Dynamic" and ranks and str(max(ranks)) != told:
        faults.append(f"ss_network_dim is {told}, but the ranks are {', '.join(map(str, sorted(ranks)))}")
    if lora.family is not None and "ss_base_model_version" in lora.metadata:
        version = lora.metadata["ss_base_model_version"]
        if not version.startswith(lora.family.base_model_version.split("_b")[0]):
            faults.append(f"ss_base_model_version is {version}, but the layers are {lora.family.label}'s")
    return faults
