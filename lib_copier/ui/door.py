"""The door between a page and the wizard; what is behind it is loaded by the first request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from lib_copier.host.base import Host
from lib_copier.markup.html import Html, tag
from lib_copier.ui.notice import TITLE
from lib_copier.ui.picture import PictureRoutes
from lib_copier.ui.request import UPLOAD_LIMIT
from lib_copier.ui.texts import Texts

if TYPE_CHECKING:
    from lib_copier.ui.reply import Wizard

API_NAME = "copier_lora"
ROUTE = f"run/{API_NAME}"
"""Where a browser asks, under whatever the page's own address is."""


class Door:
    """Answers requests. Building a page with it costs a WebUI's start next to nothing.

    Parameters
    ----------
    routes:
        How a browser of this page reaches pictures.
    """

    def __init__(self, host: Host, routes: PictureRoutes) -> None:
        self.host = host
        self.texts = Texts(host.info.language)
        self._routes = routes
        self._lock = threading.Lock()
        self._wizard: Wizard | None = None

    def wizard(self) -> Wizard:
        """The wizard over the host's projects; jobs that a restart left open go on."""
        with self._lock:
            if self._wizard is None:
                self._wizard = self._make()
            return self._wizard

    def answer(self, request: Any) -> str:
        """One request of a browser, see `Wizard.answer`."""
        return self.wizard().answer(request)

    def receive(self, project: Any, gallery: Any, infotexts: Any) -> str:
        """A picture sent from one of the host's own galleries, see `Wizard.receive`."""
        return self.wizard().receive(project, gallery, infotexts)

    def _make(self) -> Wizard:
        from lib_copier.host.hold import hold_of
        from lib_copier.host.lora_folder import Listing
        from lib_copier.ui.reply import Wizard
        from lib_copier.ui.workshop import Workshop

        hold = hold_of(self.host)
        workshop = Workshop(self.host.data_dir(), self.host.lora_dirs, hold)
        workshop.queue.resume()
        return Wizard(self.host, workshop, hold, Listing(self.host), self.texts, self._routes)


def skeleton(texts: Texts, route: str) -> Html:
    """The empty page; the script fills its regions by asking the door, which `route` is the address of."""
    return tag(
        "div",
        tag("header", data_region="bar"),
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
        data_route=route,
        data_title=TITLE.lower(),
        data_lost=texts("lost"),
        data_close=texts("close"),
        data_copied=texts("copied"),
        data_too_large=texts("too_large", size=UPLOAD_LIMIT >> 20),
        data_upload_limit=UPLOAD_LIMIT,
    )
