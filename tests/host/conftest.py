"""The doubles of three hosts, imported from disk as the hosts import their own modules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

DOUBLES = Path(__file__).parent / "doubles"
FOLDERS = {
    "a1111": ("webui", "webui_lora"),
    "reforge": ("webui", "webui_lora", "reforge"),
    "forge": ("webui", "webui_lora", "forge"),
    "without_lora": ("webui",),
}
TOP_LEVEL = {"modules", "networks", "modules_forge", "backend", "ldm_patched"}


def _forget_doubles() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in TOP_LEVEL]:
        del sys.modules[name]
    sys.path_importer_cache.clear()


@pytest.fixture
def webui(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Call it with a host's name: that host's modules can then be imported; gives `modules.shared`."""
    data = tmp_path / "webui"
    for folder in ("models/Lora", "models/Stable-diffusion"):
        (data / folder).mkdir(parents=True)
    monkeypatch.setenv("COPIER_TEST_WEBUI", str(data))
    _forget_doubles()

    def start(kind: str) -> ModuleType:
        for folder in FOLDERS[kind]:
            monkeypatch.syspath_prepend(DOUBLES / folder)
        from modules import shared

        return shared

    yield start
    _forget_doubles()
