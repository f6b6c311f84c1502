"""What is looked at before an output counts: it opens, is whole and is what it claims to be."""

from __future__ import annotations

from pathlib import Path

from lib_copier.errors import CopierError
from lib_copier.files.disk import read_json


def output_fault(path: Path, kind: str) -> str:
    """Why a file is no sound output of that kind, in a few words; empty where it is.

    A LoRA's numbers must all be finite; a checkpoint's are left to the child that wrote them, since
    reading gigabytes again would cost more than the step.
    """
    if not path.is_file():
        return "was not made"
    if path.stat().st_size == 0 and kind != "text":
        return "is empty"
    check = {"lora": _lora_fault, "checkpoint": _checkpoint_fault, "picture": _picture_fault}.get(kind)
    if check is not None:
        return check(path)
    if kind in {"json", "text"}:
        return _text_fault(path, kind)
    return ""


def _checkpoint_fault(path: Path) -> str:
    from lib_copier.model_file.header import read_header

    try:
        header = read_header(path)
    except CopierError as error:
        return f"cannot be read: {error.what}"
    return "" if header.tensors else "holds no tensor"


def _lora_fault(path: Path) -> str:
    from lib_copier.model_file.header import read_header

    fault = _checkpoint_fault(path)
    if fault:
        return fault
    header = read_header(path)
    with path.open("rb") as file:
        for name, info in header.tensors.items():
            file.seek(header.data_start + info.start)
            if not _is_finite(file.read(info.end - info.start), info.dtype):
                return f"holds numbers that are not finite ({name})"
    return ""


def _is_finite(raw: bytes, dtype: str) -> bool:
    """Whether no number is NaN or infinite; dtypes other than floats cannot be."""
    import numpy as np

    exponents = {"F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F800000)}
    if dtype not in exponents:
        return True
    # A float is NaN or infinite exactly where all bits of its exponent are set.
    kind, mask = exponents[dtype]
    return not bool(((np.frombuffer(raw, kind) & mask) == mask).any())


def _picture_fault(path: Path) -> str:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"is no picture: {error}"
    return ""


def _text_fault(path: Path, kind: str) -> str:
    try:
        if kind == "json":
            read_json(path)
        else:
            path.read_bytes().decode()
    except (ValueError, CopierError) as error:
        return f"is no {kind}: {error}"
    return ""
