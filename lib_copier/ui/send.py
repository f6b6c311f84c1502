"""The "Send to Copier LoRA" buttons beside the WebUI's own galleries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lib_copier.ui.door import Door

_ELEMENTS = {
    "txt2img_gallery": ("txt2img", "gallery"),
    "img2img_gallery": ("img2img", "gallery"),
    "generation_info_txt2img": ("txt2img", "infotexts"),
    "generation_info_img2img": ("img2img", "infotexts"),
    "txt2img_send_to_extras": ("txt2img", "button"),
    "img2img_send_to_extras": ("img2img", "button"),
}
"""Ids in the WebUI's page: which tab, and what stands there. Ours comes beside the button."""


@dataclass
class _Source:
    """What was caught of one of the WebUI's tabs."""

    button: Any = None
    gallery: Any = None
    infotexts: Any = None


@dataclass
class Sender:
    """Catches the WebUI's galleries while it builds its page, and wires them once our own tab is built."""

    sources: dict[str, _Source] = field(default_factory=dict)

    def catch(self, component: Any, **kwargs: Any) -> None:
        """The host's callback after every component of its page.

        Gradio 4 makes components anew for every update too, outside any page: those are passed over, or
        a button of ours would turn up in the middle of nowhere.
        """
        found = _ELEMENTS.get(str(kwargs.get("elem_id")))
        if found is None or not _is_building():
            return
        tab, part = found
        source = self.sources.setdefault(tab, _Source())
        if getattr(source, part) is None:
            setattr(source, part, _button(tab) if part == "button" else component)

    def connect(self, door: Door) -> None:
        """Inside our own page: a click sends the shown picture to the origin panel."""
        import gradio as gr

        from lib_copier.markup.html import element_id
        from lib_copier.ui import compat

        for tab, source in self.sources.items():
            if source.button is None or source.gallery is None or source.infotexts is None:
                continue
            # Hosts with tooltips put this attribute into their page; others ignore it.
            source.button.webui_tooltip = door.texts("send")
            reply = gr.Textbox(visible=False, elem_id=element_id("received", tab))
            project = gr.Textbox(visible=False, elem_id=element_id("project", tab))
            event = compat.on_click(
                source.button,
                door.receive,
                [project, source.gallery, source.infotexts],
                [reply],
                javascript="(_project, gallery, texts) => [copierLora.project(), gallery, texts]",
            )
            compat.then_in_browser(event, [reply], "(text) => { copierLora.receive(text); }")


def _button(tab: str) -> Any:
    import gradio as gr

    from lib_copier.markup.html import element_id

    button: Any = gr.Button("🖨", elem_id=element_id(tab, "send"), elem_classes=["tool"])
    button.do_not_save_to_config = True
    return button


def _is_building() -> bool:
    """Whether a page is being built just now in this thread."""
    try:
        from gradio.context import Context
    except ImportError:
        return True
    return getattr(Context, "root_block", None) is not None
