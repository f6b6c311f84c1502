"""The WebUI's door: hands its callbacks to lib_copier. Nothing heavy is imported before the page is built."""

import traceback
from concurrent.futures import ThreadPoolExecutor

from modules import script_callbacks

try:
    from lib_copier.ui.send import Sender

    sender = Sender()
    problem = ""
except Exception as error:  # the WebUI must start, whatever is missing
    sender = None
    problem = f"{type(error).__name__}: {error}"


def build():
    """The tab; where something is missing, a tab that says so."""
    global problem
    from lib_copier.ui import notice

    try:
        if problem:
            return notice.build(problem)
        from lib_copier.host.detect import webui_host
        from lib_copier.ui.tab import build_tab

        return build_tab(webui_host(), sender)
    except Exception as error:
        traceback.print_exc()
        return notice.build(f"{type(error).__name__}: {error}")


def after_component(component, **kwargs):
    """The WebUI has made a component."""
    if sender is not None:
        sender.catch(component, **kwargs)


def register():
    """Hand over the callbacks. A page that is built anew executes this file anew, with a new sender."""
    script_callbacks.on_after_component(after_component)
    script_callbacks.on_ui_tabs(build)


# At each registration the host looks for the file behind every frame of the stack, among all loaded modules:
# 0.2 s in Forge, whose stack is deep here. That of a new thread is short.
with ThreadPoolExecutor(1) as thread:
    thread.submit(register).result()
