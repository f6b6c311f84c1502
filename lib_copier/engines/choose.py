"""Engines by their name."""

from __future__ import annotations

from lib_copier.engines.embedded import EmbeddedEngine
from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.engines.task import Engine
from lib_copier.errors import InputError


def engine_named(name: str) -> Engine:
    """The engine of that name.

    Raises
    ------
    InputError
        Where there is none, or it is not installed.
    """
    if name == "embedded":
        return EmbeddedEngine()
    if name == "sd-scripts":
        return SdScriptsEngine()
    raise InputError(f"There is no engine {name!r}.", "Choose embedded or sd-scripts.")


def engine_version(name: str) -> str:
    """What goes into the key of a step done by that engine."""
    return engine_named(name).version()


def choose_engine(preference: str, *, is_ready: bool, is_asked_for: bool = False) -> str:
    """The engine of a step: what was chosen, and where that is ``auto`` the one at hand.

    Parameters
    ----------
    preference:
        ``auto``, ``embedded`` or ``sd-scripts``: the project's option, or the step's own.
    is_ready:
        Whether sd-scripts and its environment are complete.
    is_asked_for:
        Whether the user wants sd-scripts wherever it is ready; else ``auto`` is embedded, which is faster.
    """
    if preference != "auto":
        return preference
    return "sd-scripts" if is_ready and is_asked_for else "embedded"
