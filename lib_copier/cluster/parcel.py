"""What travels to a node and back: a step, its inputs by digest, files in pieces, errors in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib_copier.errors import CancelledError, ChildError, CopierError, InputError
from lib_copier.graph.digest import sha256_of
from lib_copier.graph.events import failure_fields
from lib_copier.graph.executor import Work
from lib_copier.graph.step import Step

PIECE_BYTES = 4 << 20
"""Files travel in pieces of this size; what is smaller comes back with the step's result."""


@dataclass(frozen=True)
class FileNote:
    """A file of an input: what it is, and where it lies on the machine that asks for the step."""

    digest: str
    size: int
    name: str
    path: str


@dataclass(frozen=True)
class InputNote:
    """An input of a step: one file, or with `folder` those of a folder, each by its name in it."""

    path: str
    files: tuple[tuple[str, FileNote], ...]
    folder: str = ""


@dataclass(frozen=True)
class Parcel:
    """A step as a node gets it: its action makes the command there, of the node's own paths."""

    step: Step
    key: str
    inputs: tuple[InputNote, ...]
    results: Mapping[str, Mapping[str, Any]]


def pack(work: Work) -> Parcel:
    """The parcel of a step; files of folders are read here."""
    notes = tuple(
        _noted(path, digest) for (_, path), digest in zip(work.place.inputs, work.digests, strict=True)
    )
    step = work.place.step
    # A GPU's number is that of this machine: over there it is the one that Ray gives.
    cosmetic = tuple((name, _any_gpu(value) if name == "device" else value) for name, value in step.cosmetic)
    bare = replace(step, cosmetic=cosmetic, goal=None)
    return Parcel(bare, work.place.out.parent.name, notes, dict(work.place.results))


def files_of(parcel: Parcel) -> Iterator[FileNote]:
    """Every file that the step reads."""
    for given in parcel.inputs:
        yield from (note for _, note in given.files)


def _noted(path: Path, digest: str) -> InputNote:
    if not path.is_dir():
        return InputNote(str(path), (("", _note(path, digest)),))
    found = sorted(one for one in path.rglob("*") if one.is_file())
    files = tuple((one.relative_to(path).as_posix(), _note(one, sha256_of(one))) for one in found)
    return InputNote(str(path), files, folder=path.name)


def _note(path: Path, digest: str) -> FileNote:
    return FileNote(digest, path.stat().st_size, path.name, str(path))


def _any_gpu(device: Any) -> Any:
    return "cuda" if str(device).startswith("cuda:") else device


def told(error: CopierError | OSError) -> dict[str, Any]:
    """An error as it travels."""
    fields: dict[str, Any] = {**failure_fields(error), "kind": type(error).__name__}
    if isinstance(error, ChildError):
        fields |= {"argv": error.argv, "returncode": error.returncode, "last_lines": error.last_lines}
    return fields


def raised(fields: Mapping[str, Any], node: str) -> CopierError:
    """The error that `told` told of, to be raised here."""
    what, advice = str(fields["what"]), str(fields["advice"])
    if fields["kind"] == CancelledError.__name__:
        return CancelledError(what, advice)
    if fields["kind"] in (InputError.__name__, "FaultsError"):
        return InputError(what, advice)
    if fields["kind"] == ChildError.__name__:
        child = {name: fields[name] for name in ("argv", "returncode", "last_lines")}
        return ChildError(what, advice, **child)
    return ChildError(f"Node {node}: {what}", advice)
