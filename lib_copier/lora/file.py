"""LoRA files: read into a value with everything checked, written as sd-scripts would."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from lib_copier.errors import FaultsError, InputError
from lib_copier.files.disk import replacing
from lib_copier.lora.adapters import Full
from lib_copier.lora.dialect import KeyTable, sort_keys
from lib_copier.lora.kinds import changes_of, kind_name, layer_faults
from lib_copier.lora.layer import Adapter, Layer, Lora, WeightChange
from lib_copier.lora.metadata import with_hashes, with_network
from lib_copier.lora.names import kernel_of
from lib_copier.lora.peft import adapter_file, read_settings, scale_of
from lib_copier.lora.precision import Array, dtype_name, is_finite, save_dtype, stored_as
from lib_copier.lora.stream import TensorFile, TensorWriter
from lib_copier.model_file.families import SD1
from lib_copier.model_file.header import Header, legacy_hash, model_hash, read_header

__all__ = ["Layer", "Lora", "read_adapter", "read_lora", "write_lora"]

# Whole differences are checked in runs of rows: their files are as large as checkpoints.
_RUN_ELEMENTS = 1 << 22


def read_lora(path: Path | str) -> Lora:
    """Read a file that holds plain LoRA layers only; its arrays keep their stored type.

    Raises
    ------
    InputError
        As `read_adapter`; also where the file is another kind of adapter.
    FaultsError
        As `read_adapter`.
    """
    adapter = read_adapter(path)
    layers = {name: layer for name, layer in adapter.layers.items() if isinstance(layer, Layer)}
    others = {name: layer for name, layer in adapter.layers.items() if name not in layers}
    if others:
        name, layer = next(iter(others.items()))
        kind = "a trained bias or norm" if layer.is_vector else layer.kind
        more = f" and {len(others) - 1} more layers that are none" if len(others) > 1 else ""
        checkpoint = " --sd_model CHECKPOINT" if layer.needs_weight else ""
        raise InputError(
            f"{path} is no plain LoRA: it holds {kind} ({name}){more}.",
            f"Make it one first: lora resize --model FILE{checkpoint} --new_rank 32 --save_to NEW_FILE.",
        )
    return Lora(layers, adapter.metadata, adapter.family, adapter.path)


def read_adapter(path: Path | str) -> Adapter:
    """Read an adapter of any known kind and naming: a file, or PEFT's folder.

    Whole differences are read when they are used; everything else is read here.

    Raises
    ------
    InputError
        Where the file is broken, or of a kind or for an architecture that is not ours.
    FaultsError
        Where layers lack a part, do not fit together, or hold NaN or infinity: all of them.
    """
    path = Path(path)
    file_path = adapter_file(path)
    header = read_header(file_path)
    table = sort_keys(header.shapes, header.metadata, str(path))
    settings = read_settings(file_path, header.metadata, header.shapes)
    faults = find_faults(header, table)
    if faults:
        raise FaultsError(str(path), faults, "Make or download the file again.")
    layers: dict[str, WeightChange] = {}
    # Whole differences keep the file open for as long as they live.
    file = TensorFile(file_path)
    for name, keys in table.layers.items():
        try:
            arrays = {role: file.read(key) for role, key in keys.items() if role != "diff"}
            bad = [keys[role] for role, array in arrays.items() if not is_finite(array)]
            difference = _difference(file, keys["diff"]) if "diff" in keys else None
            if difference is None and "diff" in keys:
                bad.append(keys["diff"])
            faults += [f"{key} holds NaN or infinity" for key in bad]
            told = partial(scale_of, settings, table.sources[name])
            kernel = kernel_of(name, table.family or SD1)
            for part, change in changes_of(arrays, kernel, told, difference).items():
                layers[f"{name}{part}"] = change
        except ValueError as error:
            shapes = ", ".join(f"{role} {list(header.tensors[key].shape)}" for role, key in keys.items())
            faults.append(
                f"{name}: the parts of its {kind_name(keys)} do not fit together ({shapes}; {error})"
            )
    if faults:
        raise FaultsError(str(path), faults, "Train or make the file again; it cannot be used.")
    return Adapter(layers, dict(header.metadata), table.family, path)


def _difference(file: TensorFile, key: str) -> Full | None:
    """A whole difference that stays in its file; None where it holds NaN or infinity."""
    shape = file.header.tensors[key].shape
    step = max(1, _RUN_ELEMENTS // max(1, int(np.prod(shape[1:]))))
    runs = ((first, min(shape[0], first + step)) for first in range(0, shape[0], step))
    if not all(is_finite(file.read_rows(key, *run)) for run in runs):
        return None
    return Full(shape, partial(file.read_rows, key))


def find_faults(header: Header, table: KeyTable) -> list[str]:
    """Everything in an adapter's tensors that does not fit together, a sentence each."""
    return [
        fault
        for name, keys in table.layers.items()
        for fault in layer_faults(name, {role: header.tensors[key] for role, key in keys.items()})
    ]


def write_lora(
    lora: Lora,
    path: Path | str,
    save_precision: str | None = "fp16",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a LoRA in kohya's naming, atomically, with rank, alpha and both hashes in its metadata.

    Parameters
    ----------
    save_precision:
        `float`, `fp16` or `bf16`; None means fp16. Alphas are always float32.
    metadata:
        Instead of the LoRA's own; the `ss_network_*` entries and the hashes are brought up to date.

    Raises
    ------
    InputError
        Where numbers do not fit the precision, or the place cannot be written to.
    """
    path = Path(path)
    check_output_name(path)
    dtype = save_dtype(save_precision, "F16")
    tensors: dict[str, Array] = {}
    for name, layer in lora.layers.items():
        for role, array in (("up", layer.up), ("down", layer.down), ("mid", layer.mid)):
            if array is not None:
                tensors[f"{name}.lora_{role}.weight"] = stored_as(array, dtype)
        if layer.alpha is not None:
            tensors[f"{name}.alpha"] = np.asarray(layer.alpha, np.float32)
    beyond = [key for key, array in tensors.items() if not is_finite(array)]
    if beyond:
        raise InputError(
            f"{len(beyond)} tensors are not finite as {save_precision or 'fp16'} ({', '.join(beyond[:3])}).",
            "Use --save_precision float or bf16; where that fails too, the input is broken.",
        )
    notes = with_network(dict(lora.metadata if metadata is None else metadata), lora.layers)
    notes = with_hashes(notes, tensors)
    described = {key: (dtype_name(array), array.shape) for key, array in tensors.items()}
    with replacing(path) as file:
        writer = TensorWriter(file, described, notes)
        for key, array in tensors.items():
            writer.write(key, array)
        writer.finish()


def check_output_name(path: Path | str) -> None:
    """Refuse to save as anything but safetensors.

    Raises
    ------
    InputError
        Where the name ends otherwise.
    """
    if Path(path).suffix.lower() != ".safetensors":
        raise InputError(
            f"{path} is not a .safetensors name.", "Save as .safetensors; pickles are not written."
        )


def stored_hashes_fit(path: Path | str, metadata: Mapping[str, str]) -> list[str]:
    """Which of the two hashes in a LoRA's metadata differ from the file's content, a sentence each."""
    faults = []
    told = metadata.get("sshs_model_hash")
    if told is not None and told != model_hash(path):
        faults.append("sshs_model_hash does not fit the tensors")
    told = metadata.get("sshs_legacy_hash")
    if told is not None and told != legacy_hash(path):
        faults.append("sshs_legacy_hash does not fit the tensors")
    return faults
