"""The tensors of a model file, read one by one when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import torch

from lib_copier.errors import InputError
from lib_copier.lora.precision import Array, dtype_name, is_finite
from lib_copier.lora.source import PICKLE_SUFFIXES, not_finite, open_checkpoint
from lib_copier.lora.stream import TensorSource
from lib_copier.model_file.keys import known_names

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

    `shapes` holds every weight's shape by its usual name (`keys.known_names`); weights in scaled fp8 are read
    as the numbers that they stand for.
    """

    def __init__(self, source: TensorSource) -> None:
        unknown = sorted({info.dtype for info in source.header.tensors.values()} - set(_TORCH_DTYPES))
        if unknown:
            source.close()
            raise InputError(
                f"{source.path} stores tensors as {', '.join(unknown)}, which is not supported.",
                "Use an fp16, bf16 or fp32 checkpoint.",
            )
        self.path = source.path
        self.metadata = source.header.metadata
        self._source = source
        self._stored = known_names(source.header.tensors)
        shapes = source.header.shapes
        self.shapes = {name: shapes[stored] for name, stored in self._stored.items()}

    @classmethod
    def open(cls, path: Path) -> ModelFile:
        """Open a model file and check its header.

        Raises
        ------
        InputError
            If it is no file, is truncated, or is neither safetensors nor a checkpoint pickle.
        """
        if (path / "model_index.json").is_file():
            raise InputError(
                f"{path} is a folder of diffusers.", "Convert it to a single checkpoint file first."
            )
        return cls(open_checkpoint(path))

    def _tensor(self, array: Array) -> torch.Tensor:
        # numpy's type of bfloat16 and fp8 is not torch's.
        flat = torch.from_numpy(array.reshape(-1).view("u1"))
        tensor = flat.view(_TORCH_DTYPES[dtype_name(array)]).reshape(array.shape)
        # A pickle's tensors are maps of the file, or share memory.
        return tensor.clone() if self.path.suffix.lower() in PICKLE_SUFFIXES else tensor

    def under(
        self, *prefixes: str, placed: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor
    ) -> dict[str, torch.Tensor]:
        """All tensors whose names begin with one of the prefixes, read now; the caller owns them.

        Each goes through `placed` as soon as it is read, so that no more than one is held twice.

        Raises
        ------
        InputError
            Where weights are not finite: all that is made with them would be black, or nothing.
        """
        found, broken = {}, []
        for name, stored in self._stored.items():
            if name.startswith(prefixes):
                array = self._source.read(stored)
                if not is_finite(array):
                    broken.append(stored)
                found[name] = placed(self._tensor(array))
        if broken:
            raise not_finite(self.path, broken)
        return found

    def __enter__(self) -> ModelFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()
