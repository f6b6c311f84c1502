"""Number formats: safetensors' names, numpy's types, and fast conversions between them.

numpy converts half precision in software, at a quarter of what memory would allow; a table of all
65,536 halves is faster and exact. bfloat16 is the upper half of a float32.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from lib_copier.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]

# sd-scripts' names on the command line.
SAVE_PRECISIONS = {"float": "F32", "fp16": "F16", "bf16": "BF16"}
FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
_PLAIN = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_RUN = 1 << 16
_EXTENDED = {"BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}


@functools.cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy type of a safetensors dtype name; ml_dtypes is imported only where it is needed."""
    if name in _PLAIN:
        return np.dtype(_PLAIN[name])
    import ml_dtypes

    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _EXTENDED[name]))
    return found


def dtype_name(array: Array) -> str:
    """The safetensors name of an array's type."""
    for name, kind in _PLAIN.items():
        if array.dtype == kind:
            return name
    return {numpy_name: name for name, numpy_name in _EXTENDED.items()}[array.dtype.name]


@functools.cache
def _half_table() -> Array:
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


def as_float32(array: Array) -> Array:
    """The same numbers as float32 (exact for every shorter format); the array itself where it is one."""
    if array.dtype == np.float32:
        return array
    if array.dtype == np.float16 and array.size > 4096:
        out = np.empty(array.shape, np.float32)
        np.take(_half_table(), array.view(np.uint16), out=out, mode="clip")
        return out
    if array.dtype.name == "bfloat16":
        wide = array.view(np.uint16).astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    return array.astype(np.float32)


def as_float64(array: Array) -> Array:
    """The same numbers as float64."""
    return (array if array.dtype == np.float64 else as_float32(array)).astype(np.float64, copy=False)


def stored_as(array: Array, dtype: str) -> Array:
    """Round an array to a safetensors dtype; numbers beyond its range become infinite, silently."""
    with np.errstate(over="ignore"):
        return array.astype(numpy_dtype(dtype), copy=False)


def is_finite(array: Array) -> bool:
    """Whether an array holds no NaN and no infinity; takes as long as a copy of it."""
    flat = array.reshape(-1)
    # What fits a core's cache is looked at there, and a bad tensor is left early.
    return all(_is_run_finite(flat[at : at + _RUN]) for at in range(0, flat.size, _RUN))


def _is_run_finite(run: Array) -> bool:
    if run.dtype == np.float16 or run.dtype.name == "bfloat16":
        # All exponent bits set mean NaN or infinity: cheaper on the bits than as numbers.
        mask = 0x7C00 if run.dtype == np.float16 else 0x7F80
        return not bool(((run.view(np.uint16) & mask) == mask).any())
    return bool(np.isfinite(as_float32(run) if run.dtype.kind == "V" else run).all())


def save_dtype(precision: str | None, default: str) -> str:
    """The safetensors dtype for a `--save_precision` value, or the default where none is given.

    Raises
    ------
    InputError
        Where the name is not one of float, fp16, bf16.
    """
    if precision is None:
        return default
    if precision not in SAVE_PRECISIONS:
        raise InputError(f"Unknown precision {precision!r}.", "Use float, fp16 or bf16.")
    return SAVE_PRECISIONS[precision]
