"""The tensors of a model file, read one by one when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import torch

from lib_copier.errors import InputError
from lib_copier.families import UNET_PREFIX
from lib_copier.lora.header import read_header
from lib_copier.lora.pickled import PICKLE_SUFFIXES, load_pickled
from lib_copier.models import ema


class ModelFile:
    """A model file open for reading, ``.safetensors`` or a pickle read weights-only.

    `shapes` holds every tensor's shape by its original name. Where a file has nothing but averaged U-Net
    weights, they stand under the names of the weights they average.
    """

    def __init__(
        self,
        path: Path,
        shapes: Mapping[str, tuple[int, ...]],
        metadata: Mapping[str, str],
        read: Callable[[str], torch.Tensor],
        stack: ExitStack,
    ) -> None:
        self.path = path
        self.metadata = metadata
        self._stack = stack
        self._read = read
        self._stored = _stored_names(shapes)
        self.shapes = {name: shapes[stored] for name, stored in self._stored.items()}

    @classmethod
    def open(cls, path: Path) -> ModelFile:
        """Open a model file and check its header.

        Raises
        ------
        InputError
            If it is no file, is truncated, or is neither safetensors nor a checkpoint pickle.
        """
        if path.is_dir():
            raise InputError(
                f"{path} is a folder.",
                "Give a single checkpoint file; convert a diffusers folder to one first."
                if (path / "model_index.json").is_file()
                else "Give a single checkpoint file.",
            )
        if not path.exists():
            raise InputError(f"{path}: no such file.", "Check the path.")
        return (
            cls._open_pickle(path) if path.suffix.lower() in PICKLE_SUFFIXES else cls._open_safetensors(path)
        )

    @classmethod
    def _open_safetensors(cls, path: Path) -> ModelFile:
        from safetensors import safe_open

        header = read_header(path)
        stack = ExitStack()
        file = stack.enter_context(safe_open(path, framework="pt", device="cpu"))
        return cls(path, header.shapes, header.metadata, file.get_tensor, stack)

    @classmethod
    def _open_pickle(cls, path: Path) -> ModelFile:
        tensors = load_pickled(path)
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        return cls(path, shapes, {}, tensors.__getitem__, ExitStack())

    def under(self, *prefixes: str) -> dict[str, torch.Tensor]:
        """All tensors whose names begin with one of the prefixes; not copied where the file can be mapped."""
        return {
            name: self._read(stored) for name, stored in self._stored.items() if name.startswith(prefixes)
        }

    def __enter__(self) -> ModelFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _stored_names(names: Mapping[str, object]) -> dict[str, str]:
    """Each tensor's name, as the rest of the program knows it, to its name in the file."""
    stored = {name: name for name in names if not name.startswith(ema.PREFIX)}
    if any(name.startswith(UNET_PREFIX) for name in stored):
        return stored
    for name in names:
        dotted = ema.dotted_name(name)
        if dotted is not None:
            stored[dotted] = name
    return stored
