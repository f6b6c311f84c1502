"""The door between a gradio page and the wizard; what is behind it is loaded by the first request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from lib_copier.host.base import Host

if TYPE_CHECKING:
    from lib_copier.ui.reply import Wizard

UPLOAD_LIMIT = 48 << 20
"""Bytes of one upload; larger files are refused by the browser and again by the server."""


class Door:
    """Answers requests. Building a page with it costs a WebUI's start next to nothing.

    Parameters
    ----------
    files:
        The route by which this gradio serves files: ``./file=``.
    """

    def __init__(self, host: Host, files: str) -> None:
        self.host = host
        self._files = files
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
        from lib_copier.ui.hold import GpuHold
        from lib_copier.ui.picture import PictureRoutes
        from lib_copier.ui.reply import Wizard
        from lib_copier.ui.texts import Texts
        from lib_copier.ui.workshop import Workshop

        workshop = Workshop(self.host.data_dir())
        hold = GpuHold(self.host, workshop.queue)
        workshop.queue.ensure_worker()
        hold.ensure()
        return Wizard(self.host, workshop, hold, Texts(self.host.info.language), PictureRoutes(self._files))
