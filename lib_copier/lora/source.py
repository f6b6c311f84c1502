"""Opening a checkpoint, whichever kind of file it is."""

from __future__ import annotations

from pathlib import Path

from lib_copier.errors import InputError
from lib_copier.lora.pickled import PICKLE_SUFFIXES, PickledFile
from lib_copier.lora.quantised import dequantised
from lib_copier.lora.stream import TensorFile, TensorSource


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
        return PickledFile(path)
    file = TensorFile(path)
    try:
        return dequantised(file)
    except InputError:
        file.close()
        raise
