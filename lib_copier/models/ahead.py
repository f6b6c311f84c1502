"""The weights of a checkpoint, read by a thread of their own while libraries load."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import torch

from lib_copier.model_file.families import detect_family
from lib_copier.model_file.keys import UNET_PREFIX, VAE_PREFIX
from lib_copier.models.kept import KEPT, Key, file_state
from lib_copier.models.source import ModelFile

Tensors = dict[str, torch.Tensor]


class WeightReader:
    """Starts to read at once; a context, at whose end the thread has ended.

    Reading and casting leave the interpreter free, so that libraries can be imported meanwhile, which takes
    about as long.

    Parameters
    ----------
    dtypes:
        What to read, of ``text``, ``vae`` and ``unet``, in this order, and as what.
    memory_format:
        That of the U-Net's convolutions.
    device:
        Where the parts will be: those that are kept there (`kept.KEPT`) are not read.
    """

    def __init__(
        self,
        path: Path | str,
        dtypes: Mapping[str, torch.dtype],
        memory_format: torch.memory_format = torch.contiguous_format,
        *,
        device: torch.device,
    ) -> None:
        self._path = Path(path)
        # As it was before anything was read: what replaces it meanwhile is another file.
        self.state = file_state(self._path)
        self._layout = memory_format
        self._stack = ExitStack()
        self._file: ModelFile | None = None
        self._dtypes = dtypes
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="weights")
        self._parts = {part: self._begin(part) for part in dtypes if not KEPT.has(self.key(part, device))}

    def take(self, part: str) -> Tensors:
        """The part's tensors by their names in the file, in main memory; the caller owns them.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        ahead = self._parts.pop(part, None) or self._begin(part)
        return ahead.result()

    def key(self, part: str, device: torch.device) -> Key:
        """What the part is kept by, once it is built on that device."""
        layout = self._layout if part == "unet" else torch.contiguous_format
        return part, *self.state, str(device), self._dtypes[part], layout

    def __enter__(self) -> WeightReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._stack.close()

    def _begin(self, part: str) -> Future[Tensors]:
        return self._pool.submit(self._read, part, self._dtypes[part])

    def _read(self, part: str, dtype: torch.dtype) -> Tensors:
        if self._file is None:
            self._file = self._stack.enter_context(ModelFile.open(self._path))
        file = self._file
        if part == "text":
            family = detect_family(file.shapes, file.metadata).family
            prefixes = [encoder.key_prefix for encoder in family.text_encoders]
        else:
            prefixes = [{"unet": UNET_PREFIX, "vae": VAE_PREFIX}[part]]
        layout = self._layout if part == "unet" else torch.contiguous_format

        def placed(tensor: torch.Tensor) -> torch.Tensor:
            own = layout if tensor.ndim == 4 else torch.contiguous_format
            return tensor.to(dtype, memory_format=own) if tensor.is_floating_point() else tensor

        return file.under(*prefixes, placed=placed)
