"""Puts the wizard into a WebUI's gradio page: one element to draw in, one event to ask with."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lib_copier.host.base import Host
from lib_copier.markup.html import element_id
from lib_copier.ui import compat
from lib_copier.ui.door import API_NAME, ROUTE, Door, skeleton
from lib_copier.ui.ending import tell_at_interrupt
from lib_copier.ui.notice import TAB_ID, TITLE
from lib_copier.ui.picture import PictureRoutes
from lib_copier.ui.send import Sender


def build_tab(host: Host, sender: Sender) -> list[tuple[Any, str, str]]:
    """What a WebUI's tab callback returns: our page, its title, its id.

    Nothing of it is kept in the host's saved defaults.
    """
    door = Door(host, PictureRoutes(compat.route("file=")))
    blocks = gr.Blocks(analytics_enabled=False)
    with blocks:
        gr.HTML(str(skeleton(door.texts, compat.route(ROUTE))), elem_id=element_id("page"))
        request = gr.Textbox(visible=False, elem_id=element_id("request"))
        reply = gr.Textbox(visible=False, elem_id=element_id("reply"))
        ask = gr.Button(visible=False, elem_id=element_id("ask"))
        # The browser calls this event by its name: it is the only door, and gradio's log-in guards it.
        compat.on_click(ask, door.answer, [request], [reply], api_name=API_NAME)
        sender.connect(door)
    data = host.data_dir()
    host.in_main_thread(lambda: tell_at_interrupt(data))
    compat.keep_out_of_saved_defaults(blocks)
    return [(blocks, TITLE, TAB_ID)]
