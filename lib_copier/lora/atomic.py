"""Writing a file so that its name holds the old content or the whole new one, never a part."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lib_copier.errors import InputError


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """Open a new file that takes the name `path` when the block ends without an error.

    The content goes under a temporary name in the same folder, is flushed to the disk, and is
    then moved. That name ends in `.part`, so that no model scan takes it for a LoRA.

    Raises
    ------
    InputError
        Where the folder is missing or cannot be written to.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder.", "Give the name of a file to write.")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder.", "Make it, or choose another place to save to.")
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        file = part.open("x+b")
    except OSError as error:
        raise InputError(
            f"Cannot write into {path.parent} ({error.strerror}).", "Choose a folder that you may write to."
        ) from error
    try:
        with file:
            yield file
            flush(file)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def flush(file: BinaryIO) -> None:
    """Wait until what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system can (Windows cannot open folders)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
