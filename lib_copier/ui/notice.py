"""The tab that is shown in place of the wizard where something it needs is missing."""

from __future__ import annotations

from typing import Any

from lib_copier.markup.html import join, tag

TITLE = "Copier LoRA"
TAB_ID = "copier_lora_tab"
_ADVICE = (
    "Restart the WebUI so that its installer can add what is missing, or update the extension. "
    "The WebUI's console has the details. Everything else works as before."
)


def build(problem: str) -> list[tuple[Any, str, str]]:
    """One sentence on what is wrong and what to do; imports nothing but gradio."""
    import gradio as gr

    with gr.Blocks(analytics_enabled=False) as blocks:
        said = (
            tag("h2", "Copier LoRA could not start"),
            tag("p", tag("code", problem)),
            tag("p", _ADVICE),
        )
        gr.HTML(str(join(*said)))
    return [(blocks, TITLE, TAB_ID)]
