"""Checkpoints opened as sources of tensors; a `.ckpt` without running anything that its pickle asks for.

torch's weights-only loader refuses classes it does not know. Many old files name some (callbacks of
the trainer that made them) beside the weights; those are replaced by classes that do nothing, and
are never imported.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_copier.errors import InputError
from lib_copier.lora.precision import Array, numpy_dtype
from lib_copier.lora.quantised import dequantised
from lib_copier.lora.stream import TensorFile, TensorSource
from lib_copier.model_file.header import Header, laid_out

PICKLE_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin")
_MOST_PLACEHOLDERS = 200
# torch's names of types, and safetensors'.
_NAMES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
_UNKNOWN_CLASS = re.compile(r"GLOBAL ([\w.]+)")


def open_checkpoint(path: Path | str) -> TensorSource:
    """Open a `.safetensors` or `.ckpt` checkpoint for reading tensor by tensor; scaled fp8 as float32.

    Raises
    ------
    InputError
        Where it is missing, a folder, broken, would run code, or is quantised otherwise.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder.", "Give a single-file checkpoint.")
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return dequantised(PickledFile(path))
    file = TensorFile(path)
    try:
        return dequantised(file)
    except InputError:
        file.close()
        raise


def not_finite(path: Path, names: Sequence[str]) -> InputError:
    """What is told of a checkpoint some of whose weights are no numbers, by their names in the file."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return InputError(
        f"{path} holds NaN or infinity in {names[0]}{more}.", "Download it again, or take another checkpoint."
    )


class PickledFile:
    """A pickled checkpoint as a source of tensors, like `stream.TensorFile`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._tensors = load_pickled(self.path)
        kinds = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in self._tensors.items()}
        strange = [name for name, kind in kinds.items() if kind not in _NAMES]
        if strange:
            raise InputError(
                f"{path}: {strange[0]} is stored as {kinds[strange[0]]}, which is not supported.",
                "Convert the checkpoint to .safetensors.",
            )
        described = {name: (_NAMES[kinds[name]], tuple(x.shape)) for name, x in self._tensors.items()}
        self.header = Header(laid_out(described))

    def __enter__(self) -> PickledFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._tensors = {}

    def read(self, name: str) -> Array:
        return _as_numpy(self._tensors[name])

    def read_rows(self, name: str, first: int, last: int) -> Array:
        return _as_numpy(self._tensors[name][first:last])


def _as_numpy(tensor: Any) -> Array:
    """A tensor's numbers as numpy, also of the types that torch does not convert by itself."""
    import torch

    dtype = numpy_dtype(_NAMES[str(tensor.dtype).removeprefix("torch.")])
    found: Array = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().view(dtype).reshape(tensor.shape)
    return found


def load_pickled(path: Path) -> dict[str, Any]:
    """Every tensor of a pickled checkpoint by name, mapped from the file where its format allows that.

    Raises
    ------
    InputError
        Where the file is broken, would run code, or holds no tensors.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file.", "Check the path.")
    content = _load_weights_only(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no table of weights.", "Give a Stable Diffusion checkpoint.")
    import torch

    tensors = {
        str(name): tensor.detach()
        for name, tensor in content.items()
        if isinstance(tensor, torch.Tensor) and not tensor.is_sparse
    }
    if not tensors:
        raise InputError(f"{path} holds no tensors.", "Give a Stable Diffusion checkpoint.")
    return tensors


def _load_weights_only(path: Path) -> Any:
    """torch's weights-only load, with a placeholder for every class that it names as unknown."""
    import torch

    placeholders: dict[str, type] = {}
    while True:
        try:
            with _allowed(placeholders.values()):
                return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path) or None)
        except pickle.UnpicklingError as error:
            unknown = _UNKNOWN_CLASS.search(str(error))
            name = unknown[1] if unknown else ""
            if not _can_be_replaced(name) or name in placeholders or len(placeholders) >= _MOST_PLACEHOLDERS:
                raise InputError(
                    f"{path} cannot be read without running code from it ({_first_line(error)}).",
                    "Get the model as .safetensors.",
                ) from error
            placeholders[name] = placeholder(name)
        except Exception as error:
            # What torch's reader raises on a damaged file depends on where it is damaged.
            raise InputError(
                f"{path} is no sound checkpoint ({_first_line(error)}).",
                "Download it again, or get the model as .safetensors.",
            ) from error


def placeholder(name: str) -> type:
    """A class under another's full name that takes anything and does nothing."""
    module, _, short = name.rpartition(".")

    def ignore(self: object, *_: object, **__: object) -> None:
        """Whatever the pickle wants to do with the object."""

    body = {"__init__": ignore, "__setstate__": ignore, "__module__": module, "__qualname__": short}
    return type(short, (), {**body, "__new__": lambda cls, *_, **__: object.__new__(cls)})


def _can_be_replaced(name: str) -> bool:
    """Whether the loader takes a placeholder of that name; torch before 2.4 has no way to give one."""
    import torch

    return "." in name and hasattr(torch.serialization, "safe_globals")


def _allowed(classes: Iterable[type]) -> Any:
    import contextlib

    import torch

    listed: list[Any] = list(classes)
    if not listed:
        return contextlib.nullcontext()
    return torch.serialization.safe_globals(listed)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _first_line(error: BaseException) -> str:
    return next(_lines(str(error)), type(error).__name__)[:160]


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
