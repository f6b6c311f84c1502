"""What is looked at before an output counts: it opens, is whole and is what it claims to be."""

from __future__ import annotations

import json
from pathlib import Path


def output_fault(path: Path, kind: str) -> str:
    """Why a file is no sound output of that kind, in a few words; empty where it is.

    Tensors are not read here: the child that made them refuses to write what is not finite, and
    the step's own verification reads LoRA files again in a child.
    """
    if not path.is_file():
        return "was not made"
    if path.stat().st_size == 0 and kind != "text":
        return "is empty"
    check = {"lora": _tensors_fault, "checkpoint": _tensors_fault, "picture": _picture_fault}.get(kind)
    if check is not None:
        return check(path)
    if kind in {"json", "text"}:
        return _text_fault(path, kind)
    return ""


def _tensors_fault(path: Path) -> str:
    from lib_copier.errors import CopierError
    from lib_copier.lora.header import read_header

    try:
        header = read_header(path)
    except CopierError as error:
        return f"cannot be read: {error.what}"
    return "" if header.tensors else "holds no tensor"


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
        text = path.read_bytes().decode()
        if kind == "json":
            json.loads(text)
    except ValueError as error:
        return f"is no {kind}: {error}"
    return ""
