"""Puts a finished LoRA into a host's folder: unique name, sidecar file, preview picture."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from lib_copier.errors import InputError

LORA_SUFFIXES = frozenset({".safetensors", ".pt", ".ckpt"})
PREVIEW_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


def unique_stem(wanted: str, folders: Iterable[Path]) -> str:
    """`wanted`, or `wanted-2`, `wanted-3` …: a stem that no LoRA under the folders has.

    WebUIs name a LoRA by its stem alone and remember its weights by that name: a stem used twice, in
    whatever subfolder, shows the old file's pictures.
    """
    taken = {
        path.stem.casefold()
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.suffix.lower() in LORA_SUFFIXES
    }
    if wanted.casefold() not in taken:
        return wanted
    number = 2
    while f"{wanted}-{number}".casefold() in taken:
        number += 1
    return f"{wanted}-{number}"


def install_lora(
    source: Path,
    folder: Path,
    stem: str,
    *,
    sidecar: Mapping[str, Any] | None = None,
    preview: Path | None = None,
) -> Path:
    """Copy a LoRA into a folder under `stem`, with the host's sidecar JSON and one preview picture.

    The file is written under a name that no host scans and then moved, so that a scan never meets half
    a file. Its time is now: hosts keep stale metadata for a file that looks older than the one before.

    Raises
    ------
    InputError
        Where the source is missing or the folder is none.
    """
    if not source.is_file():
        raise InputError(f"There is no LoRA at {source.name}.", "Run the step that makes it first.")
    if not folder.is_dir():
        raise InputError(f"There is no LoRA folder {folder}.", "Create it, or choose another.")
    target = folder / f"{stem}.safetensors"

    def copy(out: IO[bytes]) -> None:
        with source.open("rb") as stream:
            shutil.copyfileobj(stream, out, 1 << 20)

    _replace(target, copy)
    if sidecar:
        write_sidecar(target.with_suffix(".json"), sidecar)
    if preview is not None:
        _one_preview(target, preview)
    return target


def write_sidecar(path: Path, entries: Mapping[str, Any]) -> None:
    """Merge entries into a sidecar file; keys that other tools wrote are kept."""
    known: dict[str, Any] = {}
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        known = found if isinstance(found, dict) else {}
    known.update(entries)
    text = json.dumps(known, ensure_ascii=False, indent=4)
    _replace(path, lambda out: out.write(text.encode("utf-8")))


def _one_preview(lora: Path, preview: Path) -> None:
    """Exactly one preview picture: with several, which one the host shows is not defined."""
    for middle in ("", ".preview"):
        for suffix in PREVIEW_SUFFIXES:
            lora.with_name(f"{lora.stem}{middle}{suffix}").unlink(missing_ok=True)
    content = preview.read_bytes()
    _replace(lora.with_suffix(preview.suffix.lower()), lambda out: out.write(content))


def _replace(target: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file whole or not at all, in its own folder: another drive could not be moved from."""
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as out:
            write(out)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
