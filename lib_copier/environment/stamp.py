"""What an environment was made of, in one small file inside it: an unchanged one is re-used at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from lib_copier.files.disk import found_object, write_json

FORMAT = 1
LAYER = 1
"""How a borrowed torch is laid under an environment; one that was laid otherwise is laid anew."""
NAME = "copier-lora.json"


class Stamp(NamedTuple):
    """The content of the stamp file. A group is listed only when all its packages are in place."""

    python: str
    """The environment's Python version, such as ``3.11.7``."""
    torch: str = ""
    """The torch that was asked for: ``cpu``, ``cuda``, ``mps``, ``host`` or ``given``; empty: none yet."""
    host: str = ""
    """Metadata folder of the host's torch where it is borrowed; gone or renamed: made again."""
    groups: Mapping[str, tuple[str, ...]] = {}
    """Requirement lines by group."""
    layer: int = 0
    """The `LAYER` by which the host's torch was laid under it."""


def read_stamp(environment: Path) -> Stamp | None:
    """The stamp of an environment; None where there is none that this version understands."""
    try:
        found = found_object(environment / NAME)
        if found["format"] != FORMAT:
            return None
        groups = {name: tuple(lines) for name, lines in found["groups"].items()}
        return Stamp(found["python"], found["torch"], found["host"], groups, found.get("layer", 0))
    except (KeyError, TypeError, AttributeError):
        return None


def write_stamp(environment: Path, stamp: Stamp) -> None:
    """Write the stamp."""
    write_json(environment / NAME, {"format": FORMAT, **stamp._asdict()})


def minor(version: str) -> str:
    """``3.11.7`` as ``3.11``: packages are built for that."""
    return ".".join(version.split(".")[:2])


def python_of(environment: Path) -> Path:
    """Where an environment's interpreter lies on this system."""
    if sys.platform == "win32":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def is_current(
    environment: Path, wanted: Mapping[str, Iterable[str]], torch: str = "auto", python: str = ""
) -> bool:
    """Whether the environment holds the wanted groups as they stand, and what is asked for besides.

    `python` is a version such as ``3.11``; empty: any.
    """
    stamp = read_stamp(environment)
    if stamp is None or not python_of(environment).exists():
        return False
    if python and minor(stamp.python) != python:
        return False
    if torch != "auto" and torch != stamp.torch:
        return False
    if stamp.host and (stamp.layer != LAYER or not Path(stamp.host).exists()):
        return False
    return all(stamp.groups.get(group) == tuple(lines) for group, lines in wanted.items())
