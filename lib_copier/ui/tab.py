"""Puts the wizard into a gradio page: one element to draw in, one event to ask with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from lib_copier.host.base import Host
from lib_copier.html import Html, element_id, tag
from lib_copier.ui import compat
from lib_copier.ui.door import UPLOAD_LIMIT, Door
from lib_copier.ui.notice import TAB_ID, TITLE
from lib_copier.ui.send import Sender
from lib_copier.ui.texts import Texts

API_NAME = "copier_lora"


def build_tab(host: Host, sender: Sender) -> list[tuple[Any, str, str]]:
    """What a WebUI's tab callback returns: our page, its title, its id."""
    blocks = compat.inner_blocks()
    fill(blocks, make_door(host), sender)
    return [(blocks, TITLE, TAB_ID)]


def make_door(host: Host) -> Door:
    """The door for this version of gradio."""
    return Door(host, compat.route("file="))


def fill(blocks: Any, door: Door, sender: Sender | None = None) -> None:
    """Put the wizard's components into `blocks`; nothing of them is kept in the host's saved defaults."""
    with blocks:
        gr.HTML(str(skeleton(Texts(door.host.info.language))), elem_id=element_id("page"))
        request = gr.Textbox(visible=False, elem_id=element_id("request"))
        reply = gr.Textbox(visible=False, elem_id=element_id("reply"))
        ask = gr.Button(visible=False, elem_id=element_id("ask"))
        # The browser calls this event by its name: it is the only door, and gradio's log-in guards it.
        compat.on_click(ask, door.answer, [request], [reply], api_name=API_NAME)
        if sender is not None:
            sender.connect(door)
    compat.keep_out_of_saved_defaults(blocks)


def skeleton(texts: Texts) -> Html:
    """The empty page; the script fills its regions."""
    return tag(
        "div",
        tag("div", data_region="bar"),
        tag(
            "div",
            tag("nav", data_region="rail", aria_label=texts("rail")),
            tag("main", tag("p", texts("loading"), class_="cl-quiet"), data_region="panel"),
            class_="cl-body",
        ),
        tag("div", data_region="notice"),
        tag("dialog"),
        id="copier_lora",
        lang=texts.language,
        data_route=compat.route(f"run/{API_NAME}"),
        data_title=TITLE.lower(),
        data_lost=texts("lost"),
        data_close=texts("close"),
        data_copied=texts("copied"),
        data_too_large=texts("too_large", size=UPLOAD_LIMIT >> 20),
        data_upload_limit=UPLOAD_LIMIT,
    )


def script_and_style(root: Path) -> tuple[str, str]:
    """The page's script and style sheet, which a WebUI finds by itself."""
    script = (root / "javascript" / "copier_lora.js").read_text(encoding="utf-8")
    return script, (root / "style.css").read_text(encoding="utf-8")
