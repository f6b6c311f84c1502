"""Finds out which host we run in, by its features and never by its product name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib_copier.host.base import Host


def has_module(name: str) -> bool:
    """Whether a module could be imported; its parents are, the module itself is not."""
    try:
        return find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def is_webui() -> bool:
    """Whether a WebUI of the AUTOMATIC1111 family surrounds us."""
    return has_module("modules.script_callbacks")


def has_own_memory_manager() -> bool:
    """Whether the host is Forge or one of its heirs: ``backend.memory_management`` moves its models."""
    return has_module("modules_forge") and has_module("backend.memory_management")


def webui_host() -> Host:
    """The adapter for the WebUI that surrounds us; nothing of the host is imported yet."""
    if has_own_memory_manager():
        from lib_copier.host.forge import ForgeHost

        return ForgeHost()
    from lib_copier.host.a1111 import A1111Host

    return A1111Host()


def is_hidden_path(path: Path) -> bool:
    """Whether a folder on the way begins with a dot: gradio 3 then refuses to serve what is inside."""
    return any(part.startswith(".") and part not in {".", ".."} for part in path.parts)
