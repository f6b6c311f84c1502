"""Where the sd-scripts engine stands, told from the disk: missing, making, ready or broken, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_copier.engines import vendor
from lib_copier.engines.locate import root
from lib_copier.engines.sd_scripts.checkout import CHECKOUT_VARIABLE, PYTHON_VARIABLE, SCRIPTS
from lib_copier.environment.pins import requirement_lines
from lib_copier.environment.stamp import is_current, python_of
from lib_copier.errors import InputError
from lib_copier.files.disk import found_object, write_json
from lib_copier.files.lock import is_locked

GROUP = "sd-scripts"
MISSING, MAKING, READY, BROKEN = "missing", "making", "ready", "broken"
_AGAIN = "`python run.py engine install` goes on where it stopped."


@dataclass(frozen=True)
class EngineState:
    """Where the engine stands; `state` is ``missing``, ``making``, ``ready`` or ``broken``."""

    state: str
    why: str
    """One sentence for a person: what is going on or missing, and what to do."""
    folder: Path
    commit: str = ""
    python: Path | None = None
    log: Path | None = None
    notes: tuple[str, ...] = ()
    """What to know although it works, such as another commit than the one that was tried."""

    def as_json(self) -> dict[str, Any]:
        """Plain values, for `engine status --json` and the page."""
        paths = {name: str(value) if value else None for name, value in
                 (("folder", self.folder), ("python", self.python), ("log", self.log))}  # fmt: skip
        return {
            "state": self.state,
            "why": self.why,
            "commit": self.commit,
            **paths,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Places:
    """Where the engine's things lie; all under one folder that git ignores."""

    vendor: Path

    @property
    def environment(self) -> Path:
        return self.vendor / "sd-scripts-env"

    @property
    def vendored(self) -> Path:
        return self.vendor / "sd-scripts"

    @property
    def record(self) -> Path:
        """What the last install did: the folder a user named, how far it came, why it failed."""
        return self.vendor / "sd-scripts.json"

    @property
    def lock(self) -> Path:
        return self.vendor / "sd-scripts.lock"

    @property
    def log(self) -> Path:
        return self.vendor / "sd-scripts.log"

    def folder(self) -> Path:
        """The checkout: what the environment variable names, what the user named at install, or ours."""
        named = os.environ.get(CHECKOUT_VARIABLE) or self.read_record().get("folder")
        return Path(named).expanduser().absolute() if named else self.vendored

    def python(self) -> Path:
        """The interpreter of the engine's environment, made or not."""
        named = os.environ.get(PYTHON_VARIABLE)
        return Path(named).expanduser().absolute() if named else python_of(self.environment)

    def read_record(self) -> dict[str, str]:
        return {name: value for name, value in found_object(self.record).items() if isinstance(value, str)}

    def write_record(self, **fields: Any) -> None:
        """Merge fields into the record."""
        write_json(self.record, {**self.read_record(), **fields})


def own_places() -> Places:
    """The project's own."""
    return Places(root() / "vendor")


def engine_state(places: Places | None = None) -> EngineState:
    """Look at the disk and say where the engine stands; cheap enough to be asked every second."""
    places = places or own_places()
    folder = places.folder()
    commit = vendor.current_commit(folder)
    state, why = _verdict(places, folder, commit)
    is_whole = not vendor.missing_scripts(folder)
    notes = (f"Tried with {vendor.TAG}; this is {commit or 'another copy'}.",)
    return EngineState(
        state,
        why,
        folder,
        commit,
        places.python(),
        places.log,
        notes if is_whole and commit != vendor.COMMIT else (),
    )


def _verdict(places: Places, folder: Path, commit: str) -> tuple[str, str]:
    """The state and its reason; the first thing that is wrong decides."""
    record = places.read_record()
    failed, doing = record.get("failed", ""), record.get("doing", "")
    if is_locked(places.lock):
        return MAKING, f"{doing or 'Working'} …"
    absent = vendor.missing_scripts(folder)
    if len(absent) == len(SCRIPTS):
        # What is not there is no fault, also where a fetch found no network.
        return MISSING, failed or "sd-scripts is not installed. `python run.py engine install` fetches it."
    if absent:
        again = "Remove the engine and install it again."
        if folder != places.vendored:
            again = "Name a whole checkout: `python run.py engine install --folder FOLDER`."
        return BROKEN, f"{folder} lacks {', '.join(absent)}. {again}"
    if folder == places.vendored and commit != vendor.COMMIT:
        return BROKEN, f"sd-scripts is at commit {commit or 'unknown'}, not {vendor.COMMIT}. {_AGAIN}"
    if os.environ.get(PYTHON_VARIABLE):
        return (
            (READY, "Ready.") if places.python().is_file() else (BROKEN, f"{places.python()} is no Python.")
        )
    if failed:
        return BROKEN, failed
    if doing:
        return BROKEN, f"The set-up was interrupted ({doing}). {_AGAIN}"
    if not places.environment.exists():
        return MISSING, "Its packages are not installed. `python run.py engine install` installs them."
    if not is_current(places.environment, {GROUP: requirements_of(folder)}):
        return BROKEN, f"Its packages do not fit this checkout or this torch. {_AGAIN}"
    return READY, "Ready."


def requirements_of(folder: Path) -> tuple[str, ...]:
    """The packages that a checkout pins.

    Raises
    ------
    InputError
        The checkout has no requirements.txt.
    """
    try:
        return requirement_lines((folder / "requirements.txt").read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{folder} has no requirements.txt.", "Name a checkout of sd-scripts.") from error
