"""Files on the disk: whole writes, JSON from outside and growing logs, by the standard library alone.

One promise holds for every writer here: when it returns, the content and its name are on the disk, and
after a crash at any instant the name holds the old content or the whole new one. What a crash may leave
beside it is a file that ends in ``.part``, which no reader takes for anything.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

from lib_copier.errors import CopierError, InputError

JSON_BYTES = 16 * 1024 * 1024
JSON_DEPTH = 64
JSON_VALUES = 1_000_000
NUMBER_DIGITS = 60
"""Longer numbers are refused; whole ones may have `WHOLE_DIGITS`, which 64 bits need."""
WHOLE_DIGITS = 20
LINES_BYTES = 4 * 1024 * 1024
"""Most that one look takes from a growing file; a longer line is passed over."""
REPAIR = "Restore it from a copy, or delete it."
_TEXT = re.compile(rb'"[^"]*"?')
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKET = bytes(set(range(256)) - set(_STEP))


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """Open a new file, for writing and reading, that takes the name `path` when the block ends well.

    Raises
    ------
    InputError
        Where the folder is missing or cannot be written to.
    CopierError
        Where its disk is full.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder.", "Give the name of a file to write.")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder.", "Make it, or choose another place to save to.")
    # A name may have 255 bytes and a character four of them: a long one is cut.
    part = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part")
    try:
        file = part.open("x+b")
    except OSError as error:
        raise _refused(path, error) from error
    try:
        with file:
            yield file
            flush(file)
        move(part, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CopierError(f"Cannot write {path} ({error.strerror}).", "Free some space.") from error
        raise
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file; its folder is made where it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(path, error) from error
    with replacing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8; lines end as they stand in `text`."""
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"A text for {path} holds half a character.", "Type that text again.") from error
    write_bytes(path, content)


def write_json(path: Path, value: Any, *, indent: int = 1) -> None:
    """`write_bytes` of `json_text`."""
    write_text(path, json_text(value, indent=indent))


def copy_file(source: Path, target: Path) -> None:
    """Write a whole copy of a file's content."""
    with source.open("rb") as read, replacing(target) as file:
        shutil.copyfileobj(read, file, 1 << 22)


def move(source: Path, target: Path) -> None:
    """Give a file or folder another name on the same disk, durably; a file that has the name is replaced."""
    for attempt in range(20):
        try:
            source.replace(target)
            break
        except PermissionError:
            # On Windows a virus scanner or an indexer may hold either file for a moment.
            if sys.platform != "win32" or attempt == 19:
                raise
            time.sleep(0.05)
    flush_folder(target.parent)


def flush(file: BinaryIO) -> None:
    """Wait until what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def flush_file(path: Path) -> None:
    """Make sure that the content of a file that another wrote is on the disk."""
    # Windows flushes only through a handle that may write.
    with path.open("rb+" if sys.platform == "win32" else "rb") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can (Windows cannot open folders)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _refused(path: Path, error: OSError) -> InputError:
    return InputError(
        f"Cannot write {path} ({error.strerror}).",
        "Choose a folder that you may write to, or a shorter name.",
    )


def is_there(path: Path, *, as_folder: bool = False) -> bool:
    """Whether a file, or a folder, is there; a name that none can have (too long, with a zero) has none."""
    return os.path.isdir(path) if as_folder else os.path.isfile(path)  # noqa: PTH112, PTH113


def json_text(value: Any, *, indent: int | None = 1) -> str:
    """Readable JSON that any reader takes: a number that is not finite becomes null."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def parse_json(text: str | bytes, where: str, *, limit: int = JSON_BYTES, advice: str = REPAIR) -> Any:
    """The value that a JSON text from outside holds, within limits that keep every later use of it safe.

    Parameters
    ----------
    where:
        What the text is or where it stands, for the message.
    limit:
        The most bytes of UTF-8.

    Raises
    ------
    InputError
        Where it is no JSON, larger than `limit`, deeper than `JSON_DEPTH`, of more than `JSON_VALUES`
        values, names a thing twice, or holds a number that is not finite or overlong or half a character.
    """
    try:
        raw = text.encode() if isinstance(text, str) else text
        if len(raw) > limit:
            raise ValueError(f"it has more than {limit} bytes")
        _refuse_overgrown(raw)
        found = _JSON.decode(raw.decode("utf-8-sig"))
        # Half a character passes the parser as an escape and fails whoever writes it later.
        if b"\\ud" in raw or b"\\uD" in raw:
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise InputError(f"{where} is no sound JSON: it is not UTF-8 throughout.", advice) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is no sound JSON: {error}.", advice) from error
    return found


def read_json(path: Path, *, limit: int = JSON_BYTES, advice: str = REPAIR) -> Any:
    """`parse_json` of a file; InputError also where there is none or it cannot be read."""
    try:
        # Opening anything but a plain file may wait for ever.
        if not path.is_file():
            raise InputError(f"{path}: no such file.", "Check the path.")
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read {path} ({error}).", "Check the path and its rights.") from error
    return parse_json(raw, str(path), limit=limit, advice=advice)


def found_object(source: Any, *, limit: int = JSON_BYTES) -> dict[str, Any]:
    """The object in a file or a text that can be done without; empty where it holds none or is missing."""
    try:
        is_file = isinstance(source, Path)
        given = read_json(source, limit=limit) if is_file else parse_json(source, "it", limit=limit)
    except InputError:
        return {}
    return given if isinstance(given, dict) else {}


def has_types(record: Any, types: Mapping[str, Any]) -> bool:
    """Whether each of these entries of a record is of its type, or one of them; True is no number."""
    return isinstance(record, dict) and all(
        isinstance(record.get(name), kind) and (kind is bool or not isinstance(record.get(name), bool))
        for name, kind in types.items()
    )


def _refuse_overgrown(raw: bytes) -> None:
    """Count values and depth without building any; brackets and commas within texts do not count."""
    if raw.count(b",") < JSON_VALUES and raw.count(b"[") + raw.count(b"{") <= JSON_DEPTH:
        return
    plain = _TEXT.sub(b"", raw.replace(b"\\\\", b"").replace(b'\\"', b""))
    opened = plain.count(b"[") + plain.count(b"{")
    if plain.count(b",") + opened > JSON_VALUES:
        raise ValueError(f"it holds more than {JSON_VALUES} values")
    steps = map(_STEP.__getitem__, plain.translate(None, _NO_BRACKET))
    if opened > JSON_DEPTH and max(accumulate(steps), default=0) > JSON_DEPTH:
        raise ValueError(f"it is nested deeper than {JSON_DEPTH}")


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > WHOLE_DIGITS:
        raise ValueError("a whole number in it is too long")
    return int(text)


def _float(text: str) -> float:
    number = float(text) if len(text) <= NUMBER_DIGITS else math.inf
    if not math.isfinite(number):
        raise ValueError("a number in it is too long or too large")
    return number


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in it")
    return found


_JSON = json.JSONDecoder(
    parse_int=_whole, parse_float=_float, parse_constant=_constant, object_pairs_hook=_unique
)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def append_line(path: Path, text: str) -> None:
    """Append one line at once; where a killed writer left a torn line, that is ended first.

    A line is whole for every reader, but lies only in the system's memory until that writes it.
    """
    with path.open("a+b") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else "\n" + text
        file.write((text + "\n").encode(errors="backslashreplace"))


def read_lines(path: Path, offset: int = 0) -> tuple[list[bytes], int]:
    """The whole lines from a byte offset on, at most `LINES_BYTES` of them, and where to go on from.

    A last line without its end is left for the next look. A missing file has no lines yet.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            raw = file.read(LINES_BYTES)
    except OSError:
        return [], offset
    end = raw.rfind(b"\n") + 1
    if not end and len(raw) == LINES_BYTES:
        return [], offset + len(raw)
    return raw[:end].split(b"\n")[:-1], offset + end
