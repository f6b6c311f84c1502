"""Scans the checkpoint folder again: the host replaces all its objects, the double writes it down."""

from modules import call_queue, shared


def refresh_checkpoints():
    assert not call_queue.queue_lock.acquire(blocking=False), "the list is scanned under queue_lock"
    shared.calls.append(("refresh_checkpoints",))
