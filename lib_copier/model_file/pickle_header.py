"""Names and shapes of the tensors in a `.ckpt`, without torch and without running what its pickle asks for.

A pickle is a small program. Every class and function that it names becomes one here that only notes what it
was given, as Python's documentation shows it ("Restricting Globals"); operations that could claim memory by a
number alone are refused before.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from lib_copier.errors import InputError

PICKLE_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin")
_LIMIT = 64 << 20
"""Bytes of the largest honest description of tensors; SDXL's has less than one million."""
_PROTOCOL = 4
_PICKLES_BEFORE = 3
"""Files of torch before 1.6 begin with three pickles of their own: magic number, version, and the system."""

Shapes = dict[str, tuple[int, ...]]


def pickled_shapes(path: Path) -> Shapes:
    """Every tensor of a pickled checkpoint by name, with its shape.

    Raises
    ------
    InputError
        Where the file is missing, broken, or holds no table of tensors.
    """
    try:
        with path.open("rb") as file:
            content = _content(file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.") from error
    # What a broken pickle raises has no common class below this one.
    except Exception as error:
        raise InputError(
            f"{path} is no sound checkpoint ({type(error).__name__}: {str(error)[:80]}).",
            "Download it again, or get the model as .safetensors.",
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    items = content.items() if isinstance(content, Mapping) else ()
    shapes = {str(name): value.shape for name, value in items if isinstance(value, _Tensor)}
    if not shapes:
        raise InputError(f"{path} holds no table of weights.", "Give a Stable Diffusion checkpoint.")
    return shapes


def _content(file: BinaryIO) -> Any:
    """What the pickle describes: the one in a zip archive, or the fourth of an old file."""
    if not zipfile.is_zipfile(file):
        file.seek(0)
        start = io.BytesIO(file.read(_LIMIT))
        for _ in range(_PICKLES_BEFORE):
            _check(start)
        return _read(start)
    with zipfile.ZipFile(file) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        if archive.getinfo(name).file_size > _LIMIT:
            raise ValueError(f"{name} is larger than {_LIMIT} bytes")
        return _read(io.BytesIO(archive.read(name)))


def _read(file: BinaryIO) -> Any:
    start = file.tell()
    _check(file)
    file.seek(start)
    return _Unpickler(file).load()


def _check(file: BinaryIO) -> None:
    """Walk over one pickle without doing what it says, and refuse what would claim memory by a number."""
    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        is_place = operation.name in ("PUT", "BINPUT", "LONG_BINPUT")
        if operation.proto > _PROTOCOL or is_place and int(argument or 0) > count:
            raise ValueError(f"unexpected operation {operation.name}")


class _Noted:
    """Stands for any object of the pickle; whatever is done to it is ignored."""

    def _ignore(self, *_: object, **__: object) -> None:
        """Nothing is kept."""

    __init__ = __setstate__ = __setitem__ = append = extend = add = _ignore

    def __call__(self, *_: object, **__: object) -> _Noted:
        return _Noted()


class _Table(dict[object, object]):
    """An ordered dict, which a pickle makes empty and then fills."""

    def __init__(self, *_: object) -> None:
        """Whatever else it was to be made of is left out."""
        super().__init__()


class _Tensor(_Noted):
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


def _tensor(storage: object, offset: object, shape: object, *_: object) -> _Noted:
    """In place of torch's function that builds a tensor on a storage."""
    is_shape = isinstance(shape, tuple) and all(type(length) is int and length >= 0 for length in shape)
    return _Tensor(shape) if is_shape and isinstance(shape, tuple) else _Noted()


def _first(value: object, *_: object) -> object:
    """In place of torch's function that makes a parameter of a tensor."""
    return value


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _first,
            ("collections", "OrderedDict"): _Table,
        }
        return known.get((module, name), _Noted)

    def persistent_load(self, pid: object) -> Any:
        return _Noted()
