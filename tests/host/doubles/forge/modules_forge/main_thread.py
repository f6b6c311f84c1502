"""Runs work on another thread and swallows what it throws, as Forge does."""

import threading

from modules import shared


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
