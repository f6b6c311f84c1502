"""The tab that is shown in place of the wizard where something it needs is missing."""

from __future__ import annotations

from html import escape
from typing import Any

TITLE = "Copier LoRA"
TAB_ID = "copier_lora_tab"


def build(problem: str) -> list[tuple[Any, str, str]]:
    """One sentence on what is wrong and what to do; imports nothing but gradio."""
    import gradio as gr

    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.HTML(
            f"<h2>Copier LoRA could not start</h2><p><code>{escape(problem)}</code></p>"
            "<p>Restart the WebUI so that its installer can add what is missing, or update the extension. "
            "The WebUI's console has the details. Everything else works as before.</p>"
        )
    return [(blocks, TITLE, TAB_ID)]
