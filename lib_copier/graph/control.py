"""How a run is asked to stop: a small JSON file that whoever wants it writes, and the runner looks for."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lib_copier.disk import found_object, write_json

SAVE, DISCARD = "save", "discard"


def ask_to_stop(control: Path, how: str = DISCARD) -> None:
    """Ask for the end of what listens to this file: at once, or after the training has saved its LoRA."""
    write_json(control, {"stop": how})


def wanted_stop(control: Path) -> str:
    """``save``, ``discard``, or empty where nobody asked."""
    how = found_object(control).get("stop")
    return how if how in (SAVE, DISCARD) else ""


def withdraw(control: Path) -> None:
    """Forget an earlier request."""
    with suppress(FileNotFoundError):
        control.unlink()
