"""The host adapter for Forge and its heirs: their own memory manager, and GPU work on the main thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lib_copier.errors import CopierError
from lib_copier.host.a1111 import MAIN_THREAD, A1111Host, Result, unload_by_manager
from lib_copier.host.a1111_generate import option
from lib_copier.host.base import has_module


class ForgeHost(A1111Host):
    """Forge loads its model at the first generation and moves it by itself; only freeing needs a call."""

    name = "Forge"

    def current_vae(self) -> Path | None:
        """The one VAE among the additional modules; text encoders stand in the same list."""
        chosen = [Path(path) for path in option("forge_additional_modules", None) or []]
        vaes = [path for path in chosen if "VAE" in path.parts]
        return vaes[0] if len(vaes) == 1 else None

    def _run(self, work: Callable[[], Result]) -> Result:
        if not has_module(MAIN_THREAD):
            return super()._run(work)
        from modules_forge import main_thread

        outcome: list[Result] = []
        failure: list[CopierError] = []

        def closed() -> None:
            # Forge swallows what its main thread throws: carry it across ourselves.
            try:
                outcome.append(A1111Host._run(self, work))
            except CopierError as error:
                failure.append(error)

        main_thread.run_and_wait_result(closed)
        if failure:
            raise failure[0]
        if not outcome:
            raise CopierError("Forge did not finish the work.", "Its console has the whole story.")
        return outcome[0]

    def _free_gpu(self) -> None:
        unload_by_manager("backend.memory_management")

    def _restore_gpu(self) -> None:
        """Nothing: Forge loads its model again at the next generation."""

    def device_for_child(self) -> str:
        from backend import memory_management

        device = str(memory_management.get_torch_device())
        return device if device == "cpu" or device.startswith("cuda") else "auto"
