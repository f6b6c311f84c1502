"""Keeps work for the main thread, which comes to it later."""

waiting = []


def async_run(func, *args):
    waiting.append(lambda: func(*args))
