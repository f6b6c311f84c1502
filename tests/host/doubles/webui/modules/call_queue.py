"""A lock as the host's: not re-entrant, no time limit."""

import threading


class FIFOLock:
    def __init__(self):
        self._lock = threading.Lock()

    def acquire(self, blocking=True):
        if blocking and self._lock.locked():
            assert self._lock.acquire(timeout=5), "dead lock: queue_lock was taken twice"
            return True
        return self._lock.acquire(blocking=blocking)

    def release(self):
        self._lock.release()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


queue_lock = FIFOLock()
