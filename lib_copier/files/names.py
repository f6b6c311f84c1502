"""Which names an origin, an edit or a project may have, as parts of paths; how long a path may become."""

from __future__ import annotations

import importlib
import sys
import unicodedata
from pathlib import Path
from typing import Any

from lib_copier.errors import InputError

LONGEST = 60
LONGEST_PATH = 259
"""Characters of a path on Windows, unless its long paths are switched on."""
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"}
)
_FORBIDDEN = frozenset('<>:"/\\|?*@=')


def normal_name(name: str) -> str:
    """The name in the one spelling that every file system agrees on (composed, no outer spaces)."""
    return unicodedata.normalize("NFC", name).strip()


def name_fault(name: object) -> str | None:
    """Why a name cannot be used, in a few words; None where it can."""
    if not isinstance(name, str):
        return "is no text"
    if not name:
        return "is empty"
    if name != normal_name(name):
        return "has outer spaces or uncomposed letters"
    if len(name.encode(errors="replace")) > LONGEST:
        return f"is longer than {LONGEST} bytes"
    bad = sorted({c for c in name if c in _FORBIDDEN or unicodedata.category(c)[0] in "CZ" and c != " "})
    if bad:
        return "has the forbidden character " + " ".join(repr(c) for c in bad)
    if name.startswith((".", "-", "~")) or name.endswith("."):
        return "starts or ends with a sign that paths or commands read otherwise"
    if name.split(".")[0].strip().casefold() in _RESERVED:
        return "is reserved on Windows"
    return None


def checked_name(name: str, what: str) -> str:
    """The normalised name, or an InputError that says what is wrong with it."""
    fault = name_fault(normal_name(name) if isinstance(name, str) else name)
    if fault:
        raise InputError(f"The name of the {what}, {name!r}, {fault}.", "Use letters, digits, - and _.")
    return normal_name(name)


def require_room(folder: Path, characters: int, what: str) -> None:
    """Refuse a folder in which files with names of so many characters, folders included, could not lie.

    Raises
    ------
    InputError
        On Windows, where their paths would be longer than it takes.
    """
    length = len(str(folder.absolute())) + 1 + characters
    if sys.platform != "win32" or length <= LONGEST_PATH or _takes_long_paths():
        return
    raise InputError(
        f"The path of the {what} is too long for Windows by {length - LONGEST_PATH} characters: {folder}.",
        "Choose a folder nearer to the drive's root, or switch long paths on "
        "(LongPathsEnabled; the Python installer offers it as its last step).",
    )


def _takes_long_paths() -> bool:
    """Whether Windows was told to; Python itself says that it can."""
    winreg: Any = importlib.import_module("winreg")  # It is on Windows alone.
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False
