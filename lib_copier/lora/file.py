"""LoRA files: read into a value with everything checked, written as sd-scripts would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lib_copier.disk import replacing
from lib_copier.errors import FaultsError, InputError
from lib_copier.families import detect_lora_family
from lib_copier.lora.dialect import KeyTable, adapter_alpha, sort_keys
from lib_copier.lora.header import Header, legacy_hash, model_hash, read_header
from lib_copier.lora.layer import Layer, Lora
from lib_copier.lora.metadata import with_hashes, with_network
from lib_copier.lora.precision import FLOATS, Array, dtype_name, is_finite, save_dtype, stored_as
from lib_copier.lora.stream import TensorFile, TensorWriter

__all__ = ["Layer", "Lora", "find_faults", "read_lora", "write_lora"]


def read_lora(path: Path | str) -> Lora:
    """Read a LoRA file of any known dialect; its arrays keep their stored type.

    Raises
    ------
    InputError
        Where the file is broken or no plain LoRA.
    FaultsError
        Where layers lack a half, do not fit together, or hold NaN or infinity: all of them.
    """
    path = Path(path)
    header = read_header(path)
    family = detect_lora_family(header.shapes, header.metadata)
    table = sort_keys(header.tensors, family, str(path))
    faults = find_faults(header, table)
    if faults:
        raise FaultsError(str(path), faults, "Make or download the file again.")
    layers: dict[str, Layer] = {}
    with TensorFile(path) as file:
        for name, keys in table.layers.items():
            arrays = {role: file.read(key) for role, key in keys.items()}
            bad = [keys[role] for role, array in arrays.items() if not is_finite(array)]
            faults += [f"{key} holds NaN or infinity" for key in bad]
            layers[name] = _layer(arrays, header.metadata, table.sources[name])
    if faults:
        raise FaultsError(str(path), faults, "Train or make the file again; it cannot be used.")
    return Lora(layers, dict(header.metadata), family, path)


def _layer(arrays: Mapping[str, Array], metadata: Mapping[str, str], source: str) -> Layer:
    down = arrays["down"]
    if "alpha" in arrays:
        alpha: float | None = float(arrays["alpha"].reshape(-1)[0])
    else:
        alpha = adapter_alpha(metadata, source, down.shape[0])
    return Layer(arrays["up"], down, arrays.get("mid"), alpha)


def find_faults(header: Header, table: KeyTable) -> list[str]:
    """Everything in a LoRA's shapes that does not fit together, a sentence each."""
    faults: list[str] = []
    for name, keys in table.layers.items():
        missing = [role for role in ("up", "down") if role not in keys]
        if missing:
            faults.append(f"{name} has no {' and no '.join(missing)} matrix")
            continue
        infos = {role: header.tensors[key] for role, key in keys.items()}
        faults += [
            f"{keys[role]} is {info.dtype}, not a floating-point type"
            for role, info in infos.items()
            if role != "alpha" and info.dtype not in FLOATS
        ]
        problem = _shape_problem({role: info.shape for role, info in infos.items()})
        if problem:
            faults.append(f"{name}: {problem}")
    return faults


def _shape_problem(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """What is wrong with one layer's shapes, or None."""
    up, down, mid = shapes["up"], shapes["down"], shapes.get("mid")
    told = f"up {list(up)} and down {list(down)}"
    if len(up) not in (2, 4) or len(down) not in (2, 4):
        return f"{told} are no matrices or kernels"
    if 0 in up or 0 in down or (mid is not None and 0 in mid):
        return f"{told} have rank or size 0"
    if len(up) == 4 and up[2:] != (1, 1):
        return f"{told}: up must be 1x1"
    if int(np.prod(shapes.get("alpha", ()))) != 1:
        return "alpha is more than one number"
    if mid is None:
        return None if up[1] == down[0] else f"{told} differ in rank"
    if len(mid) != 4 or (len(down) == 4 and down[2:] != (1, 1)):
        return f"{told} with mid {list(mid)} are no factored kernel"
    return None if up[1] == mid[0] and mid[1] == down[0] else f"{told} do not fit mid {list(mid)}"


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
