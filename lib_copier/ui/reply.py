"""From the text that a browser sends to the text that it gets: checked, acted on, drawn anew."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lib_copier.disk import found_object
from lib_copier.errors import CopierError, InputError
from lib_copier.host.base import Host
from lib_copier.html import Html, join, tag
from lib_copier.ui.acts import ACTS
from lib_copier.ui.acts import origin as origin_acts
from lib_copier.ui.acts.act import Outcome
from lib_copier.ui.hold import GpuHold
from lib_copier.ui.page import Page
from lib_copier.ui.panels import panel
from lib_copier.ui.picture import PictureRoutes
from lib_copier.ui.rail import bar, rail
from lib_copier.ui.texts import Texts
from lib_copier.ui.view import View
from lib_copier.ui.workshop import Workshop

_LONGEST_REQUEST = 80 << 20


@dataclass(frozen=True)
class Wizard:
    """What all requests share: the host, the projects, the words. Holds no state of any browser."""

    host: Host
    workshop: Workshop
    hold: GpuHold
    texts: Texts
    routes: PictureRoutes

    def answer(self, request: Any) -> str:
        """One request of a browser: ``{"act", "view", "have", …}`` as JSON, and the answer as JSON.

        Whatever a client sends, the answer is a page and at most a sentence about what was wrong.
        """
        given = _read(request)
        view = View.from_json(given.get("view"))
        name = given.get("act")
        act = ACTS.get(name) if isinstance(name, str) else None
        outcome = Outcome()
        try:
            if act is None:
                raise InputError("The page asked for something unknown.", "Reload it.")
            outcome = act(self.page(view), given)
        except (CopierError, OSError) as error:
            outcome = Outcome(str(error), is_error=True)
        return self._drawn(outcome, view, have=given.get("have"))

    def receive(self, project: Any, gallery: Any, infotexts: Any) -> str:
        """A picture sent from one of the host's own galleries, answered as a request is."""
        view = View.from_json({"project": project, "panel": "origin"})
        if not view.project and (entries := self.workshop.entries()):
            view = view.at(project=entries[0].name)
        try:
            outcome = origin_acts.receive(self.page(view), gallery, infotexts)
        except (CopierError, OSError) as error:
            outcome = Outcome(str(error), is_error=True)
        return self._drawn(outcome, view)

    def page(self, view: View) -> Page:
        """What panels draw from, with the view's project opened where there is one of that name."""
        return Page(
            self.host,
            self.workshop,
            self.hold,
            self.texts,
            self.routes,
            view,
            self.workshop.desk(view.project),
        )

    def _drawn(self, outcome: Outcome, view: View, have: Any = None) -> str:
        """The page after an act, without the regions' HTML where the browser has it already."""
        notice = (
            {"kind": "error" if outcome.is_error else "ok", "text": outcome.message}
            if outcome.message
            else None
        )
        try:
            page = self.page(outcome.view or view)
            if outcome.live is not None:
                page = replace(page, live=outcome.live)
            html, is_active = self._regions(page)
            view = (
                page.view
                if page.desk is not None
                else page.view.at(project="", panel=_without_project(page.view.panel))
            )
        except (CopierError, OSError) as error:
            # A project that cannot be opened must not lock anybody out of the others.
            view = View()
            html, is_active = self._regions(self.page(view))
            notice = {"kind": "error", "text": str(error)}
        stamp = hashlib.sha256(json.dumps(html).encode()).hexdigest()[:16]
        return json.dumps(
            {
                "view": view.to_json(),
                "stamp": stamp,
                "html": {} if stamp == have and not outcome.is_error else html,
                "active": is_active,
                "notice": notice,
                "top": outcome.is_at_top and outcome.view is not None,
                "reset": outcome.is_error,
            },
            ensure_ascii=False,
        )

    def _regions(self, page: Page) -> tuple[dict[str, str], bool]:
        name = page.view.panel if page.desk is not None else _without_project(page.view.panel)
        page = replace(page, view=page.view.at(panel=name))
        html: dict[str, str] = {"bar": bar(page), "rail": rail(page), "panel": _panel(page, name)}
        task = self.workshop.tasks.find(page.opened.queue_key) if page.desk is not None else None
        is_active = task is not None or any(job.is_open for job in self.workshop.queue.jobs())
        return html, is_active or (page.desk is not None and page.desk.is_busy)


def _panel(page: Page, name: str) -> Html:
    """A panel; a fault of ours in one of them must not take the others with it."""
    try:
        return panel(name)(page)
    except (CopierError, OSError) as error:
        return tag("p", str(error), class_="cl-fault")
    except Exception as error:
        logging.getLogger("copier_lora").exception("the panel %s could not be drawn", name)
        said = page.texts("panel.broken", what=f"{type(error).__name__}: {error}")
        return join(tag("h2", page.texts(f"{name}.title")), tag("p", said, class_="cl-fault"))


def _without_project(name: str) -> str:
    return name if name in {"project", "jobs"} else "project"


def _read(request: Any) -> Mapping[str, Any]:
    return found_object(request, limit=_LONGEST_REQUEST) if isinstance(request, str) else {}
