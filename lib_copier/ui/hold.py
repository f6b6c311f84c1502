"""Frees the WebUI's GPU while our jobs run, and gives it back when none is left."""

from __future__ import annotations

import logging
import threading
import time

from lib_copier.errors import CopierError
from lib_copier.graph.queue import Queue
from lib_copier.host.base import Host

_LOOK_SECONDS = 0.5


class GpuHold:
    """One watcher thread a process: it holds the host's GPU from the first open job to the last.

    The host's own generations wait meanwhile, as they wait for each other: a model in the GPU beside a
    training would run out of memory.
    """

    def __init__(self, host: Host, queue: Queue) -> None:
        self._host = host
        self._queue = queue
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ensure(self) -> None:
        """Watch the queue, where jobs are open and the device is one that the host also uses."""
        if not self._host.info.is_webui or self._host.device_for_child() == "cpu" or not self._has_work():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._hold, name="copier-lora gpu", daemon=True)
                self._thread.start()

    def _hold(self) -> None:
        try:
            with self._host.gpu_exclusive():
                while self._has_work():
                    time.sleep(_LOOK_SECONDS)
        except CopierError as error:
            logging.getLogger("copier_lora").warning(
                "the WebUI's GPU could not be freed or restored: %s", error
            )

    def _has_work(self) -> bool:
        return any(job.is_open for job in self._queue.jobs())
