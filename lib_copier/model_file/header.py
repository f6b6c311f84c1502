"""The header of a safetensors file: read and checked without torch or numpy, written, replaced, hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from lib_copier.errors import InputError
from lib_copier.files.disk import parse_json, replacing

# Real headers stay below 5 MB, tag statistics of large datasets included. The format allows 100 MB, which
# as JSON may take thirty times that in memory.
HEADER_LIMIT = 1 << 24
LENGTH_BYTES = 8
_AGAIN = "Download or make the file again; it is broken."

ITEM_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E5M2": 1,
    "F8_E4M3": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "F64": 8,
    "I64": 8,
    "U64": 8,
}
# The safetensors library lays tensors out by this rank, highest first, then by name.
_LAYOUT_RANK = {dtype: rank for rank, dtype in enumerate(ITEM_BYTES)}


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file: safetensors' dtype name, shape, and its bytes within the data section.

    `quantised`: the type in the file, where reading gives numbers of the wider `dtype`.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int
    quantised: str = ""

    @property
    def offsets(self) -> tuple[int, int]:
        return self.start, self.end


@dataclass(frozen=True)
class Header:
    """A whole header; tensors stand in the order of their bytes, `data_start` is in the file."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str] = field(default_factory=dict)
    data_start: int = 0
    file_size: int = 0

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: info.shape for name, info in self.tensors.items()}


def read_header(path: Path | str) -> Header:
    """Read and check the header of a safetensors file.

    Nothing is trusted: neither the length, nor the offsets, nor the shapes. What passes here can
    be read without leaving the file.

    Raises
    ------
    InputError
        Where the file is missing, truncated, a pickle, or its header lies.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file.", "Check the path.")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(LENGTH_BYTES + 1)
        length = int.from_bytes(start[:LENGTH_BYTES], "little")
        # A sound beginning is judged first: any eight bytes may be a length, those of a pickle too.
        if length > size - LENGTH_BYTES or start[LENGTH_BYTES:] != b"{":
            _refuse_other_kinds(path, start)
        if length > size - LENGTH_BYTES:
            _fault(path, f"its header claims {length} bytes in a file of {size}")
        if length > HEADER_LIMIT:
            _fault(path, f"its header has {length} bytes, and no model's has more than {HEADER_LIMIT}")
        file.seek(LENGTH_BYTES)
        text = file.read(length)
    content = parse_json(text, f"the header of {path}", limit=HEADER_LIMIT, advice=_AGAIN)
    if not isinstance(content, dict):
        _fault(path, "its header is no JSON object")
    metadata = _checked_metadata(path, content.pop("__metadata__", None))
    data_start = LENGTH_BYTES + length
    tensors = _checked_tensors(path, content, size - data_start)
    return Header(tensors, metadata, data_start, size)


def _refuse_other_kinds(path: Path, start: bytes) -> None:
    """Name what else a file with this beginning is."""
    if len(start) < LENGTH_BYTES:
        _fault(path, f"it is only {len(start)} bytes long")
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        raise InputError(
            f"{path} is a pickle file, which can run code when read.",
            "Give a .safetensors file (LoRAs are read from safetensors only).",
        )
    if start.startswith(b"GGUF"):
        raise InputError(f"{path} is a GGUF file.", "Use the model as .safetensors in fp16, bf16 or fp32.")
    if start.startswith(b"version "):
        raise InputError(
            f"{path} is a Git LFS pointer, not the file itself.", "Download the real file (git lfs pull)."
        )
    if start.lstrip().lower().startswith((b"<!doctyp", b"<html")):
        raise InputError(f"{path} is a web page, not a model.", "Download the file again.")


def _fault(path: Path, what: str) -> NoReturn:
    raise InputError(f"{path} is no sound safetensors file: {what}.", _AGAIN)


def _checked_metadata(path: Path, metadata: Any) -> dict[str, str]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _fault(path, "its metadata are not texts by name")
    return metadata


def _checked_tensors(path: Path, content: Mapping[str, Any], data_size: int) -> dict[str, TensorInfo]:
    """Every tensor, in the order of its bytes: known dtype, right size, no overlap, no hole."""
    tensors = {name: _checked_tensor(path, name, entry) for name, entry in content.items()}
    ordered = dict(sorted(tensors.items(), key=lambda item: item[1].offsets))
    position = 0
    for name, info in ordered.items():
        if info.end > data_size:
            _fault(path, f"it is truncated: {name} ends at byte {info.end} of {data_size}")
        if info.start != position:
            _fault(path, f"{name} starts at byte {info.start} where {position} is expected")
        position = info.end
    if position != data_size:
        _fault(path, f"{data_size - position} bytes at its end belong to no tensor")
    return ordered


def _checked_tensor(path: Path, name: str, entry: Any) -> TensorInfo:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _fault(path, f"the entry of {name} is not dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise InputError(
            f"{path}: {name} has the unknown dtype {str(dtype)[:20]!r}.",
            "Use the model in fp16, bf16 or fp32.",
        )
    if not _are_counts(shape) or len(shape) > 16:
        _fault(path, f"{name} has no proper shape")
    if not _are_counts(offsets) or len(offsets) != 2:
        _fault(path, f"{name} has no proper data_offsets")
    expected = ITEM_BYTES[dtype]
    for length in shape:
        expected *= length
    if offsets[1] - offsets[0] != expected:
        _fault(path, f"{name} has {offsets[1] - offsets[0]} bytes where its shape needs {expected}")
    return TensorInfo(dtype, tuple(shape), offsets[0], offsets[1])


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**62 for value in values)


def laid_out(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, TensorInfo]:
    """Give tensors (dtype name, shape) their bytes, in the order in which safetensors writes them."""
    order = sorted(tensors, key=lambda name: (-_LAYOUT_RANK[tensors[name][0]], name))
    placed: dict[str, TensorInfo] = {}
    position = 0
    for name in order:
        dtype, shape = tensors[name]
        size = ITEM_BYTES[dtype]
        for length in shape:
            size *= length
        placed[name] = TensorInfo(dtype, tuple(shape), position, position + size)
        position += size
    return placed


def header_bytes(
    tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str] | None, *, reserve: int = 0
) -> bytes:
    """A file's beginning: length and JSON, padded to 8 bytes, with at least `reserve` spaces behind."""
    content: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    for name, info in tensors.items():
        content[name] = {"dtype": info.dtype, "shape": list(info.shape), "data_offsets": list(info.offsets)}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    length = -(-(len(text) + reserve) // 8) * 8
    return length.to_bytes(LENGTH_BYTES, "little") + text.ljust(length)


def replace_metadata(path: Path | str, metadata: Mapping[str, str]) -> None:
    """Give a file other metadata, atomically; its tensors stay bit for bit.

    Where the metadata hold `sshs_legacy_hash`, it is taken anew: it depends on the other `ss_*` entries.
    """
    header = read_header(path)
    if "sshs_legacy_hash" in metadata:
        metadata = {**metadata, "sshs_legacy_hash": _legacy_hash(path, header, metadata)}
    with Path(path).open("rb") as source, replacing(path) as target:
        target.write(header_bytes(header.tensors, metadata))
        source.seek(header.data_start)
        for block in _blocks(source):
            target.write(block)


def file_sha256(path: Path | str) -> str:
    """The SHA-256 of a whole file: what model sites and the WebUI call its hash."""
    with Path(path).open("rb") as file:
        return _sha256(file)


def model_hash(path: Path | str) -> str:
    """`sshs_model_hash`: the SHA-256 of everything behind the header."""
    with Path(path).open("rb") as file:
        file.seek(read_header(path).data_start)
        return _sha256(file)


def legacy_hash(path: Path | str) -> str:
    """`sshs_legacy_hash`: 8 digits over 64 KiB from 1 MiB on, as if only `ss_*` metadata were there.

    sd-scripts takes it from the file as it would be with that metadata alone, so that later edits
    of other metadata do not change it. Only the length of that header matters.
    """
    header = read_header(path)
    return _legacy_hash(path, header, header.metadata)


def _legacy_hash(path: Path | str, header: Header, metadata: Mapping[str, str]) -> str:
    front, start, stop = legacy_window(header.tensors, metadata)
    with Path(path).open("rb") as file:
        file.seek(header.data_start + start)
        return hashlib.sha256(front + file.read(stop - start)).hexdigest()[:8]


def legacy_window(tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> tuple[bytes, int, int]:
    """What `sshs_legacy_hash` covers: bytes of the header, then `start` to `stop` of the data section."""
    front = header_bytes(tensors, {key: value for key, value in metadata.items() if key.startswith("ss_")})
    first, last = 0x100000, 0x110000
    return front[first:last], max(0, first - len(front)), max(0, last - len(front))


def old_webui_hash(path: Path | str) -> str:
    """`ss_sd_model_hash`: 8 digits over 64 KiB from 1 MiB on, of the file as it is."""
    with Path(path).open("rb") as file:
        file.seek(0x100000)
        return hashlib.sha256(file.read(0x10000)).hexdigest()[:8]


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    for block in _blocks(file):
        digest.update(block)
    return digest.hexdigest()


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(1 << 22):
        yield block


def same_file(first: Path | str, second: Path | str) -> bool:
    """Whether two paths name one file, also through links; a missing file is like no other."""
    try:
        return Path(first).samefile(second)
    except OSError:
        return Path(first).absolute() == Path(second).absolute()
