"""What differs between gradio 3, 4, 5 and 6, kept in this one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

MAJOR = int(gr.__version__.partition(".")[0])


def route(path: str) -> str:
    """A gradio route as the page's address sees it: relative, so that proxies may put us anywhere."""
    return f"./gradio_api/{path}" if MAJOR >= 5 else f"./{path}"


def on_click(
    button: Any,
    action: Callable[..., Any] | None,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    *,
    javascript: str | None = None,
    api_name: str | None = None,
) -> Any:
    """Bind a click outside the queue: every handler of ours is short, and some hosts have no queue."""
    keywords: dict[str, Any] = {"fn": action, "inputs": list(inputs), "outputs": list(outputs)}
    keywords["queue"] = False
    keywords["show_progress"] = "hidden"
    if javascript is not None:
        keywords["js" if MAJOR >= 4 else "_js"] = javascript
    if api_name is not None:
        keywords["api_name"] = api_name
    elif MAJOR < 6:
        keywords["api_name"] = False
    return button.click(**keywords)


def then_in_browser(event: Any, inputs: Sequence[Any], javascript: str) -> None:
    """After an event, run a script in the browser with the values of some components."""
    keywords = {"js" if MAJOR >= 4 else "_js": javascript}
    if MAJOR < 6:
        keywords["api_name"] = False  # type: ignore[assignment]
    event.then(fn=None, inputs=list(inputs), outputs=[], queue=False, **keywords)


def keep_out_of_saved_defaults(blocks: Any) -> None:
    """Keep a WebUI from freezing today's values of our components in its ui-config.json."""
    for block in blocks.blocks.values():
        block.do_not_save_to_config = True
