"""The U-Net's weights, read by a thread of their own while other parts of a checkpoint are put to use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import torch

from lib_copier.families import UNET_PREFIX
from lib_copier.models.source import ModelFile


class UNetReader:
    """Starts to read at once; a context, at whose end the thread has ended.

    Reading and casting leave the interpreter free, so that libraries can be imported meanwhile, which takes
    about as long.
    """

    def __init__(self, path: Path | str, dtype: torch.dtype) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="unet-reader")
        self._tensors = self._pool.submit(_read, Path(path), dtype)

    def take(self) -> dict[str, torch.Tensor]:
        """The tensors under `UNET_PREFIX`, in main memory; the caller owns them.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        return self._tensors.result()

    def __enter__(self) -> UNetReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


def _read(path: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    with ModelFile.open(path) as file:
        return file.under(UNET_PREFIX, dtype=dtype)
