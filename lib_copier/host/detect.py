"""Finds out which host we run in, by its features and never by its product name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib_copier.host.base import has_module

if TYPE_CHECKING:
    from lib_copier.host.base import Host


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
