"""Tensors read and written one by one, so that memory does not grow with the file.

The safetensors package can only write a file as a whole; here the header goes first, and every
tensor, or a run of its rows, to its own place from whichever thread has it ready.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

import numpy as np

from lib_copier.errors import CopierError
from lib_copier.lora.precision import Array, dtype_name, numpy_dtype
from lib_copier.model_file.header import Header, header_bytes, laid_out, read_header


class TensorSource(Protocol):
    """Tensors that can be read one at a time, from any thread: a safetensors file or a loaded `.ckpt`."""

    path: Path
    header: Header

    def read(self, name: str) -> Array: ...

    def read_rows(self, name: str, first: int, last: int) -> Array: ...

    def close(self) -> None: ...


class TensorFile:
    """A safetensors file, opened for reading; its header has been checked.

    Reads go through the file, not a memory map: pages of a map would count as this process's
    memory until the system takes them back.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.header = read_header(path)
        self._file = self.path.open("rb", buffering=0)
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def read(self, name: str) -> Array:
        """One tensor in its stored type."""
        info = self.header.tensors[name]
        flat = self._read_bytes(info.start, info.end - info.start)
        return flat.view(numpy_dtype(info.dtype)).reshape(info.shape)

    def read_rows(self, name: str, first: int, last: int) -> Array:
        """Rows `first` to `last` (excluded) of a tensor with at least one axis."""
        info = self.header.tensors[name]
        row_bytes = (info.end - info.start) // max(info.shape[0], 1)
        flat = self._read_bytes(info.start + first * row_bytes, (last - first) * row_bytes)
        return flat.view(numpy_dtype(info.dtype)).reshape((last - first, *info.shape[1:]))

    def _read_bytes(self, start: int, size: int) -> Array:
        target = np.empty(size, np.uint8)
        view, offset = memoryview(target.data), self.header.data_start + start
        while view:
            count = self._read_at(view, offset)
            if not count:
                raise CopierError(f"{self.path} became shorter while it was read.", "Run the command again.")
            view, offset = view[count:], offset + count
        return target

    def _read_at(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [view], offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.readinto(view)


class TensorWriter:
    """A safetensors file underway: the header stands, tensors may come in any order from any thread.

    Parameters
    ----------
    file:
        A fresh file, as `disk.replacing` gives it.
    tensors:
        Name -> (safetensors dtype, shape) of everything that will be written.
    metadata:
        The header's metadata.
    reserve:
        Spare bytes in the header for metadata that are known only at the end.
    """

    def __init__(
        self,
        file: BinaryIO,
        tensors: Mapping[str, tuple[str, tuple[int, ...]]],
        metadata: Mapping[str, str],
        *,
        reserve: int = 0,
    ) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.tensors = laid_out(tensors)
        front = header_bytes(self.tensors, metadata, reserve=reserve)
        self._data_start = len(front)
        self._missing = sum(info.end - info.start for info in self.tensors.values())
        file.truncate(self._data_start + self._missing)
        self._write_at(memoryview(front), 0)

    def write(self, name: str, array: Array, first_row: int = 0) -> None:
        """Write a tensor, or the run of its rows that begins at `first_row`."""
        info = self.tensors[name]
        if dtype_name(array) != info.dtype:
            raise ValueError(f"{name} is {dtype_name(array)}, announced as {info.dtype}")
        row_bytes = (info.end - info.start) // max(info.shape[0], 1) if info.shape else 0
        start = info.start + first_row * row_bytes
        if start + array.nbytes > info.end:
            raise ValueError(f"{name} is larger than announced")
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        self._write_at(memoryview(content.data), self._data_start + start)
        with self._lock:
            self._missing -= array.nbytes

    def finish(self, metadata: Mapping[str, str] | None = None) -> None:
        """Check that everything has been written; put final metadata into the reserved space."""
        if self._missing:
            raise ValueError(f"{self._missing} announced bytes were never written")
        if metadata is not None:
            front = header_bytes(self.tensors, metadata)
            if len(front) > self._data_start:
                raise ValueError("the final metadata are larger than the reserved space")
            room = self._data_start - 8
            self._write_at(memoryview(room.to_bytes(8, "little") + front[8:].ljust(room)), 0)

    def _write_at(self, view: memoryview, offset: int) -> None:
        while view:
            if hasattr(os, "pwrite"):
                count = os.pwrite(self._file.fileno(), view, offset)
            else:
                with self._lock:
                    self._file.seek(offset)
                    count = self._file.write(view)
            view, offset = view[count:], offset + count
