"""What differs between gradio 3, 4, 5 and 6, kept in this one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
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


def inner_blocks() -> Any:
    """A page of our own, to be put into a WebUI's."""
    return gr.Blocks(analytics_enabled=False)


def standalone_blocks(title: str, style: str, script: str) -> tuple[Any, dict[str, Any]]:
    """A page on its own and the arguments of its launch; style and script go where this gradio takes them."""
    # Not as `css=`: some versions rewrite the selectors of what they are given there.
    head = f"<style>{style}</style><script>{script}</script>"
    if MAJOR >= 6:
        return gr.Blocks(title=title, analytics_enabled=False), {"head": head}
    if MAJOR >= 4:
        return gr.Blocks(title=title, head=head, analytics_enabled=False), {"show_api": False}
    blocks: Any = gr.Blocks(title=title, css=style, analytics_enabled=False)
    with blocks:
        # Gradio 3 has no way into the page's head but to run a script once the page has loaded.
        blocks.load(fn=None, _js=f"() => {{{script}}}")
    return blocks, {"show_api": False}


def serve(blocks: Any, *, address: str, port: int, folders: Sequence[Path], **launch: Any) -> Any:
    """Start serving; returns once the port answers."""
    quiet: dict[str, Any] = {"footer_links": []} if MAJOR >= 6 else {}
    return blocks.launch(
        server_name=address,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        allowed_paths=[str(folder) for folder in folders],
        **quiet,
        **launch,
    )
