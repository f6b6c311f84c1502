"""Callbacks as the host keeps them; a test calls them in the host's order."""

import inspect

registered = {}
stacks = []
"""The files of the frames that each registration read; the host names the extension by the first."""


def _registrar(kind):
    def register(callback):
        stacks.append([frame.filename for frame in inspect.stack(0) if frame.filename != __file__])
        registered.setdefault(kind, []).append(callback)

    return register


on_ui_tabs = _registrar("ui_tabs")
on_before_ui = _registrar("before_ui")
on_after_component = _registrar("after_component")
on_script_unloaded = _registrar("script_unloaded")
on_app_started = _registrar("app_started")
