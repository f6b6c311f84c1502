"""Engines by their name."""

from __future__ import annotations

import os

from lib_copier.engines.embedded import EmbeddedEngine
from lib_copier.engines.state import READY, engine_state
from lib_copier.engines.task import Engine
from lib_copier.errors import InputError

ENGINE_VARIABLE = "COPIER_LORA_ENGINE"
"""``sd-scripts``: the engine that ``auto`` takes wherever it is ready."""


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
        # Here, not above: it reads pictures, and most processes never meet it.
        from lib_copier.engines.sd_scripts.engine import SdScriptsEngine

        return SdScriptsEngine()
    raise InputError(f"There is no engine {name!r}.", "Choose embedded or sd-scripts.")


def engine_version(name: str) -> str:
    """What goes into the key of a step done by that engine."""
    return engine_named(name).version()


def choose_engine(preference: str) -> str:
    """The engine of a step: the one that its option or the project's names.

    ``auto`` is the embedded engine, unless the environment variable `ENGINE_VARIABLE` asks for sd-scripts
    and that is ready.
    """
    if preference != "auto":
        return preference
    is_asked_for = os.environ.get(ENGINE_VARIABLE, "") == "sd-scripts"
    return "sd-scripts" if is_asked_for and engine_state().state == READY else "embedded"
