"""Frees the WebUI's GPU before the first job begins, and gives it back when none is left."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lib_copier.graph.queue import Queue
from lib_copier.host.base import Host

IDLE, FREEING, HELD, UNHELD, RESTORING = "idle", "freeing", "held", "unheld", "restoring"

_LOOK_SECONDS = 0.5
_LOOKS_PER_WORKER = 60
"""A worker that died is followed by another after so many looks."""


class GpuHold:
    """The one owner of the host's GPU in this process: idle → freeing → held → restoring → idle.

    The queue's gate is closed in ``freeing`` and ``restoring``, so that a job begins in ``held`` alone; one
    that comes later than that goes through another freeing. Each change of the phase is made under the
    queue's lock, as is each beginning of a job. A host that cannot free its GPU leads to ``unheld``: jobs
    then begin beside its model, and `problem` says so. The host's own generations wait while it is held, as
    they wait for each other.

    Parameters
    ----------
    start:
        Runs a function in a thread of its own.
    pause:
        Waits between two looks at the queue.
    """

    def __init__(
        self,
        host: Host,
        start: Callable[[Callable[[], None]], None] | None = None,
        pause: Callable[[], None] = lambda: time.sleep(_LOOK_SECONDS),
    ) -> None:
        self.phase = IDLE
        self.problem = ""
        """What went wrong at the last freeing or restoring."""
        self._host = host
        self._start = start or _in_a_thread
        self._pause = pause

    def clear_for(self, queue: Queue) -> None:
        """A job of this queue is about to be written: see to it that it waits for its GPU.

        Called under the queue's lock; returns at once.
        """
        is_shared = self._host.info.is_webui and self._host.device_for_child() != "cpu"
        if self.phase == IDLE and is_shared:
            queue.gate.close()
            self.phase = FREEING
            self.problem = ""
            self._start(lambda: self._run(queue))

    def _run(self, queue: Queue) -> None:
        try:
            while self.phase == FREEING:
                self._hold_once(queue)
                if self._is_over(queue):
                    return
        except Exception:  # a hold that ended with its gate closed would keep back every job
            logging.getLogger("copier_lora").exception("the hold of the GPU ended")
            queue.gate.open()
            self.phase = IDLE

    def _hold_once(self, queue: Queue) -> None:
        try:
            with self._host.gpu_exclusive():
                self._let_jobs_in(queue, HELD)
        except Exception as error:  # of the host and its extensions, whatever they throw
            self.problem = str(error)
            logging.getLogger("copier_lora").warning("the WebUI's GPU: %s", error)
            if self.phase == FREEING:
                self._let_jobs_in(queue, UNHELD)

    def _let_jobs_in(self, queue: Queue, phase: str) -> None:
        """Open the gate, and close it again when there is nothing left to do."""
        with queue.changing():
            self.phase = phase
            queue.gate.open()
        looks = 0
        while True:
            with queue.changing():
                if not queue.needs_gpu():
                    queue.gate.close()
                    self.phase = RESTORING
                    return
            looks += 1
            if looks % _LOOKS_PER_WORKER == 0:
                queue.ensure_worker()
            self._pause()

    def _is_over(self, queue: Queue) -> bool:
        """The host has its GPU again: rest, or free it anew for what came meanwhile."""
        with queue.changing():
            if queue.needs_gpu():
                queue.gate.close()
                self.phase = FREEING
                return False
            queue.gate.open()
            self.phase = IDLE
            return True


def hold_of(host: Host) -> GpuHold:
    """The process's hold over the host's GPU; a page that is built anew finds the one that works already."""
    with _LOCK:
        return _HOLDS.setdefault(host.data_dir(), GpuHold(host))


_HOLDS: dict[Path, GpuHold] = {}
_LOCK = threading.Lock()


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="copier-lora gpu", daemon=True).start()
