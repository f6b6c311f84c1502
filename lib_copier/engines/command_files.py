"""The files around a command: written and copied before its start, moved to their place after its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lib_copier.engines.task import Command
from lib_copier.errors import ChildError, InputError
from lib_copier.files.disk import copy_file, move, write_text
from lib_copier.model_file.header import read_header, replace_metadata

_PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


def prepare(command: Command) -> None:
    """Write and copy what the command reads.

    Raises
    ------
    InputError
        A file to copy is missing or its place cannot be written.
    """
    for path, text in command.files:
        write_text(path, text)
    for source, target in command.copies:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            copy_file(source, target)
        except OSError as error:
            raise InputError(
                f"{source} cannot be copied: {error.strerror or error}.", "Check the file."
            ) from error


def collect(command: Command, last_lines: tuple[str, ...] = ()) -> None:
    """Move what the command made to where it is wanted, and complete its metadata.

    Raises
    ------
    ChildError
        The command ended well and yet did not make its file.
    """
    for made, wanted in command.moves:
        if not made.is_file():
            raise ChildError(
                f"The child process ended without an error but wrote no {made.name}.",
                "Its last lines say why.",
                argv=command.argv,
                returncode=0,
                last_lines=last_lines,
            )
        if command.metadata and wanted == command.moves[-1][1]:
            replace_metadata(made, {**read_header(made).metadata, **dict(command.metadata)})
        if made != wanted:
            _move(made, wanted)


def _move(made: Path, wanted: Path) -> None:
    """Into place at once, also from another disk: the wanted name never holds half a file."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    try:
        move(made, wanted)
    except OSError:
        copy_file(made, wanted)
        made.unlink()


class NewPictures:
    """Finds the pictures that appear in a folder while a command runs."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._seen = set(self._all())

    def take(self) -> list[Path]:
        """Those that appeared since the last call, oldest first."""
        fresh = [path for path in self._all() if path not in self._seen]
        self._seen.update(fresh)
        return fresh

    def _all(self) -> Iterator[Path]:
        if self._folder is None:
            return
        with suppress(OSError):
            yield from (
                path for path in sorted(self._folder.iterdir()) if path.suffix.lower() in _PICTURE_SUFFIXES
            )
