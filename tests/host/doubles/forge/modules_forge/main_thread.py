"""Runs work on another thread and swallows what it throws, or keeps it until asked for, as Forge does."""

import threading

from modules import shared

waiting = []
"""What the main thread does when it comes to it."""


def run_and_wait_result(func, *args):
    box = []

    def run():
        try:
            box.append(func(*args))
        except Exception:  # noqa: BLE001 - that is what Forge does
            box.append(None)

    shared.calls.append(("main_thread",))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return box[0]


def async_run(func, *args):
    waiting.append(lambda: func(*args))
