"""From the text that a browser sends to the text that it gets: checked, acted on, drawn anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lib_copier.errors import InputError
from lib_copier.host.base import Host
from lib_copier.host.hold import GpuHold
from lib_copier.host.lora_folder import Listing
from lib_copier.markup.html import Html
from lib_copier.steps.publish import published_loras
from lib_copier.ui.acts import ACTS
from lib_copier.ui.acts import origin as origin_acts
from lib_copier.ui.acts import run as run_acts
from lib_copier.ui.acts.act import Outcome
from lib_copier.ui.page import Page
from lib_copier.ui.panels import panel
from lib_copier.ui.parts import guarded, told
from lib_copier.ui.picture import PictureRoutes
from lib_copier.ui.rail import bar, rail
from lib_copier.ui.request import Details, read_request
from lib_copier.ui.texts import Texts
from lib_copier.ui.view import WITHOUT_PROJECT, View
from lib_copier.ui.workshop import Workshop


@dataclass(frozen=True)
class Wizard:
    """What all requests share: the host, the projects, the words. Holds no state of any browser."""

    host: Host
    workshop: Workshop
    hold: GpuHold
    listing: Listing
    texts: Texts
    routes: PictureRoutes

    def answer(self, request: Any) -> str:
        """One request of a browser: ``{"act", "view", "have", …}`` as JSON, and the answer as JSON.

        Whatever a client sends, the answer is a page and at most a sentence about what was wrong.
        """
        view, have = View(), None
        given: Details = {}
        try:
            given = read_request(request)
            view, have, name = View.from_json(given.get("view")), given.get("have"), given.get("act")
            act = ACTS.get(name) if isinstance(name, str) else None
            if act is None:
                raise InputError("The page asked for something unknown.", "Reload it.")
            outcome = act(self.page(view), given)
        except Exception as error:
            key = given.get("key")
            outcome = Outcome(
                told(self.texts, error), is_error=True, field=key if isinstance(key, str) else ""
            )
        return self._drawn(outcome, view, have)

    def receive(self, project: Any, gallery: Any, infotexts: Any) -> str:
        """A picture sent from one of the host's own galleries, answered as a request is."""
        view = View.from_json({"project": project, "panel": "origin"})
        try:
            if not view.project and (entries := self.workshop.entries()):
                view = view.at(project=entries[0].name)
            outcome = origin_acts.receive(self.page(view), gallery, infotexts)
        except Exception as error:
            outcome = Outcome(told(self.texts, error), is_error=True)
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
        message, is_error, cause = outcome.message, outcome.is_error, outcome.cause
        try:
            page = replace(self.page(outcome.view or view), live=outcome.live)
        except Exception as error:
            # A project that cannot be opened must not lock anybody out of the others.
            message, is_error, cause = told(self.texts, error), True, ""
            page = self.page(View())
        if page.desk is None:
            panel = page.view.panel if page.view.panel in WITHOUT_PROJECT else "project"
            page = replace(page, view=page.view.at(project="", panel=panel))
        self._list_published(page)
        notice = {
            "kind": "error" if is_error else "ok",
            "text": message,
            **({"cause": cause} if cause else {}),
        }
        # Asked before the page is drawn: what ends in between is drawn by the next look, not by none.
        state = self._state(page)
        html = {name: guarded(page, draw) for name, draw in _REGIONS.items()}
        # And after it: drawing looks at files, and a large one begins to be read by that.
        state["active"] |= bool(self.workshop.readings.under_way())
        stamp = hashlib.sha256(json.dumps(html).encode()).hexdigest()[:16]
        return json.dumps(
            {
                "view": page.view.to_json(),
                "stamp": stamp,
                "html": {} if stamp == have and not is_error else html,
                **state,
                "notice": notice if message else None,
                "field": outcome.field,
                "top": outcome.is_at_top and outcome.view is not None,
                "reset": is_error,
            }
        )

    def _list_published(self, page: Page) -> None:
        """Have the host list what the opened project has put into its folder, before the page says so."""
        try:
            for lora in published_loras(page.desk.project.folder, page.desk.recipe) if page.desk else ():
                self.listing.see(lora)
        except Exception as error:
            told(self.texts, error)

    def _state(self, page: Page) -> dict[str, Any]:
        """Whether the browser should ask again soon, or at once; what is in the way, what failed unseen."""
        found: dict[str, Any] = {"active": False, "hurried": False, "causes": {}, "failure": ""}
        try:
            found["active"] = any(job.is_open for job in self.workshop.queue.jobs())
            found["active"] |= bool(self.workshop.readings.under_way())
            if (desk := page.desk) is not None:
                found["active"] |= desk.is_busy or desk.is_host_at_work
                # Pictures that somebody waits for, each of them a second or two away.
                found["hurried"] = self.workshop.printer.is_open(desk.folder_name)
                found["active"] |= found["hurried"]
                found |= {
                    "causes": dict(run_acts.causes(page)),
                    "failure": self.texts.said(self.workshop.tasks.failure(desk.queue_key)),
                }
        except Exception as error:
            told(self.texts, error)
        return found


def _panel(page: Page) -> Html:
    return panel(page.view.panel)(page)


_REGIONS: Mapping[str, Callable[[Page], Html]] = {"bar": bar, "rail": rail, "panel": _panel}
