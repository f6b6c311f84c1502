"""Work that the host does for the page: in a thread of its own, so that every handler stays short."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from lib_copier.errors import CopierError


@dataclass
class Task:
    """One piece of work, and what became of it."""

    is_open: bool = True
    message: str = ""
    """What went wrong; empty where nothing did."""


class Tasks:
    """At most one task a key; kept while the process lives, over reloads of the page too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}

    def find(self, key: str) -> Task | None:
        """The task of that key, running or ended."""
        with self._lock:
            return self._tasks.get(key)

    def start(self, key: str, work: Callable[[], None]) -> bool:
        """Begin; False where a task of that key runs already."""
        with self._lock:
            if key in self._tasks and self._tasks[key].is_open:
                return False
            task = self._tasks[key] = Task()
        threading.Thread(target=self._do, args=(task, work), name=f"copier-lora {key}", daemon=True).start()
        return True

    def is_open(self, key: str) -> bool:
        """Whether a task of that key is being done."""
        task = self.find(key)
        return task is not None and task.is_open

    def failure(self, key: str) -> str:
        """What went wrong with the last task, until it is forgotten or another begins; empty for nothing."""
        task = self.find(key)
        return task.message if task is not None and not task.is_open else ""

    def forget(self, key: str) -> None:
        """Somebody has seen what went wrong."""
        with self._lock:
            if key in self._tasks and not self._tasks[key].is_open:
                del self._tasks[key]

    def _do(self, task: Task, work: Callable[[], None]) -> None:
        try:
            work()
        except CopierError as error:
            task.message = str(error)
        except Exception as error:
            # The thread's end is the only place left where a fault of ours could be told.
            logging.getLogger("copier_lora").exception("a task of the page failed")
            task.message = f"{type(error).__name__}: {error}"
        finally:
            task.is_open = False
