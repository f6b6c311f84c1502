"""The button beside the WebUI's galleries."""

from __future__ import annotations

import gradio as gr
import pytest

from lib_copier.ui.send import Sender
from lib_copier.ui.texts import LANGUAGES, Texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_button_has_the_tooltip_that_the_host_reads(door, monkeypatch, language):
    """AUTOMATIC1111 and Forge put a component's ``webui_tooltip`` into their page, and no other attribute."""
    monkeypatch.setattr(door, "texts", Texts(language))
    sender = Sender()
    with gr.Blocks():
        sender.catch(gr.Gallery(), elem_id="txt2img_gallery")
        sender.catch(gr.Textbox(), elem_id="generation_info_txt2img")
        sender.catch(gr.Button(), elem_id="txt2img_send_to_extras")
        sender.connect(door)
    button = sender.sources["txt2img"].button
    assert button.webui_tooltip == {"en": "Send to Copier LoRA", "ja": "Copier LoRA へ送る"}[language]
