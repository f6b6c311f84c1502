"""Checkpoints in scaled fp8: weights with a scale beside them are read as the numbers they stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lib_copier.errors import InputError
from lib_copier.lora.precision import Array, as_float32
from lib_copier.lora.stream import TensorSource
from lib_copier.model_file.header import Header, TensorInfo

FP8 = ("F8_E4M3", "F8_E5M2")
# ComfyUI's older and newer spelling of the scale of `….weight`.
_SCALES = (".scale_weight", ".weight_scale")
# What the older and newer fp8 matrix product takes beside the weight; no part of it.
_BESIDE = (".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")
_METADATA = "_quantization_metadata"
# What only one other way of quantising writes beside a weight, and its name.
_FOREIGN = (
    (".weight_scale_2", "NVFP4"),
    (".bitsandbytes__nf4", "bitsandbytes' NF4"),
    (".bitsandbytes__fp4", "bitsandbytes' FP4"),
    (".SCB", "bitsandbytes' int8"),
    (".qweight", "GPTQ or AWQ"),
)


def dequantised(source: TensorSource) -> TensorSource:
    """The source itself, or where it is in scaled fp8 a view of it that reads the weights in float32.

    In the view's header such a weight is F32 and names its own type in `quantised`; scales and
    markers are left out.

    Raises
    ------
    InputError
        Where the file is quantised in another way, or a scale does not fit its weight.
    """
    tensors = source.header.tensors
    for name in tensors:
        foreign = next((kind for mark, kind in _FOREIGN if name.endswith(mark)), None)
        if foreign is not None:
            raise _refusal(source.path, f"is quantised as {foreign} (it has {name})")
    scales = {
        f"{name[: -len(suffix)]}.weight": name
        for name in tensors
        for suffix in _SCALES
        if name.endswith(suffix)
    }
    if not scales and not any(name.endswith(_BESIDE) for name in tensors):
        return source
    for weight, scale in scales.items():
        _check_scale(source.path, tensors.get(weight), weight, tensors[scale])
    return _ScaledFile(source, scales)


def _check_scale(path: Path, weight: TensorInfo | None, name: str, scale: TensorInfo) -> None:
    if weight is None:
        raise _refusal(path, f"has a scale for {name}, which it does not hold")
    if weight.dtype not in FP8 or scale.dtype not in ("F32", "F16", "BF16") or not weight.shape:
        raise _refusal(path, f"is quantised: {name} is {weight.dtype} with scales in {scale.dtype}")
    rows, groups = _scale_size(scale.shape)
    width = int(np.prod(weight.shape[1:]))
    if rows not in (1, weight.shape[0]) or groups < 1 or width % groups:
        raise _refusal(path, f"is quantised: {name} {list(weight.shape)} has scales {list(scale.shape)}")


def _refusal(path: Path, what: str) -> InputError:
    return InputError(
        f"{path} {what}.", "Use the model in fp16, bf16 or fp32; of quantised ones fp8 can be read."
    )


def _scale_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """A scale's shape as (1 or a weight's rows, groups of columns)."""
    return (shape[0] if shape else 1), int(np.prod(shape[1:]))


def dequantise(array: Array, scale: Array) -> Array:
    """Rows of an fp8 weight (rows, …) times their scale, in float32.

    `scale`: one number; or (rows, …) with one number for each row, or for each of its equally
    long groups of columns.
    """
    rows, groups = _scale_size(scale.shape)
    grouped = as_float32(array).reshape(len(array), groups, -1)
    return (grouped * as_float32(scale).reshape(rows, groups, 1)).reshape(array.shape)


class _ScaledFile:
    """A source in scaled fp8; `scales` tells the scale's key for each weight that has one."""

    def __init__(self, source: TensorSource, scales: dict[str, str]) -> None:
        self.path = source.path
        self._source, self._scales = source, scales
        tensors = {
            name: replace(info, dtype="F32", quantised=info.dtype) if name in scales else info
            for name, info in source.header.tensors.items()
            if not name.endswith(_SCALES + _BESIDE)
        }
        metadata = {key: text for key, text in source.header.metadata.items() if key != _METADATA}
        self.header: Header = replace(source.header, tensors=tensors, metadata=metadata)

    def read(self, name: str) -> Array:
        """One tensor; a scaled weight as float32."""
        array = self._source.read(name)
        scale = self._scales.get(name)
        return array if scale is None else dequantise(array, self._source.read(scale))

    def read_rows(self, name: str, first: int, last: int) -> Array:
        """Rows `first` to `last` (excluded); of a scaled weight as float32."""
        array = self._source.read_rows(name, first, last)
        key = self._scales.get(name)
        if key is None:
            return array
        is_by_row = _scale_size(self._source.header.tensors[key].shape)[0] > 1
        return dequantise(
            array, self._source.read_rows(key, first, last) if is_by_row else self._source.read(key)
        )

    def close(self) -> None:
        self._source.close()
