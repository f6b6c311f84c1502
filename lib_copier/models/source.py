"""The tensors of a model file, read one by one when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import torch

from lib_copier.errors import InputError
from lib_copier.families import UNET_PREFIX
from lib_copier.lora.source import PICKLE_SUFFIXES, load_pickled
from lib_copier.lora.stream import TensorFile
from lib_copier.models import ema

_TORCH_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class ModelFile:
    """A model file open for reading, ``.safetensors`` or a pickle read weights-only.

    Tensors are read, not mapped: pages of a map would count as this process's memory beside the modules.

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
        stack = ExitStack()
        file = stack.enter_context(TensorFile(path))
        kinds = {name: info.dtype for name, info in file.header.tensors.items()}

        def read(name: str) -> torch.Tensor:
            array = file.read(name)
            flat = torch.from_numpy(array.reshape(-1).view(np.uint8))
            return flat.view(_TORCH_DTYPES[kinds[name]]).reshape(array.shape)

        unknown = sorted(set(kinds.values()) - set(_TORCH_DTYPES))
        if unknown:
            stack.close()
            raise InputError(
                f"{path} stores tensors as {', '.join(unknown)}, which is not supported.",
                "Use an fp16, bf16 or fp32 checkpoint.",
            )
        return cls(path, file.header.shapes, file.header.metadata, read, stack)

    @classmethod
    def _open_pickle(cls, path: Path) -> ModelFile:
        tensors = load_pickled(path)
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        # The pickle's tensors are maps of the file, or share memory.
        return cls(path, shapes, {}, lambda name: tensors[name].clone(), ExitStack())

    def under(
        self, *prefixes: str, placed: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor
    ) -> dict[str, torch.Tensor]:
        """All tensors whose names begin with one of the prefixes, read now; the caller owns them.

        Each goes through `placed` as soon as it is read, so that no more than one is held twice.
        """
        return {
            name: placed(self._read(stored))
            for name, stored in self._stored.items()
            if name.startswith(prefixes)
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
