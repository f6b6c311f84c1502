"""One request's view of everything: the host, the words, the opened project and where the browser stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lib_copier.host.base import Host
from lib_copier.host.hold import GpuHold
from lib_copier.markup.html import Html, tag
from lib_copier.recipe.model import Edit, Effect, Origin
from lib_copier.recipe.options import OPTIONS, group
from lib_copier.settings.option import Option, Value
from lib_copier.ui import form
from lib_copier.ui.desk import Desk
from lib_copier.ui.picture import PictureRoutes
from lib_copier.ui.texts import Texts
from lib_copier.ui.view import STEP_KINDS, View
from lib_copier.ui.workshop import Workshop

ICONS = {
    "done": "✓",
    "accepted": "!",
    "stale": "↻",
    "running": "",
    "failed": "!",
    "missed": "!",
    "held": "–",
    "missing": "",
    "partly": "…",
}


@dataclass(frozen=True)
class Page:
    """What panels draw from; made anew for every request."""

    host: Host
    workshop: Workshop
    hold: GpuHold
    texts: Texts
    routes: PictureRoutes
    view: View
    desk: Desk | None = None
    live: tuple[Effect, ...] | None = None
    """Effects to show in place of the shown edit's own, while a slider is being moved."""

    @property
    def opened(self) -> Desk:
        """The opened project; only panels of a project ask for it."""
        assert self.desk is not None, "this panel needs an opened project"
        return self.desk

    # Which origin and edit are meant

    @property
    def origin(self) -> Origin | None:
        """The origin that the browser shows, or the first."""
        found = self.opened.recipe.origins
        return next((one for one in found if one.name == self.view.origin), found[0] if found else None)

    @property
    def edit(self) -> Edit | None:
        """The edit that the browser shows, or the first."""
        found = self.opened.recipe.edits
        shown = next((one for one in found if one.name == self.view.edit), found[0] if found else None)
        return shown if shown is None or self.live is None else replace(shown, effects=self.live)

    def steps_of_panel(self, panel: str, *, shown_only: bool = False) -> list[str]:
        """Ids of the plan's steps on a panel; `shown_only`: of the shown origin and edit."""
        if self.desk is None:
            return []
        kinds = STEP_KINDS.get(panel, ())
        found = [step_id for step_id in self.desk.step_ids if step_id.partition("/")[0] in kinds]
        if not shown_only:
            return found
        return [step_id for step_id in found if self._is_shown(step_id)]

    def _is_shown(self, step_id: str) -> bool:
        _, *names = step_id.split("/")
        origin, edit = self.origin, self.edit
        allowed = {origin.name if origin else "", edit.name if edit else ""}
        return all(name in allowed for name in names)

    # States

    @property
    def is_host_at_work(self) -> bool:
        """Whether the host makes a picture, or words, for the opened project."""
        return self.desk is not None and self.desk.is_host_at_work

    def state(self, step_ids: Sequence[str]) -> str:
        """One word for several steps; ``accepted`` where all are done, one of them below its goal."""
        if self.is_host_at_work and any(step_id.startswith("origin/") for step_id in step_ids):
            return "running"
        found = [self.opened.states[step_id] for step_id in step_ids if step_id in self.opened.states]
        states = [status.state for status in found]
        for word in ("running", "failed", "missed", "held"):
            if word in states:
                return word
        if not states or all(state == "missing" for state in states):
            return "missing"
        if all(state == "done" for state in states):
            return "accepted" if any(status.shortfalls for status in found) else "done"
        return "stale" if "stale" in states else "partly"

    def pill(self, step_ids: Sequence[str]) -> Html:
        """The state of steps as an icon and a word."""
        state = self.state(step_ids)
        return tag(
            "span",
            self.icon(state),
            self.texts(f"state.{state}"),
            class_=f"cl-state cl-is-{state}",
        )

    def icon(self, state: str, otherwise: str = "") -> Html:
        """A state's round icon; the word stands beside it, so it is hidden from readers."""
        sign = "" if state == "running" else ICONS[state] or otherwise
        return tag("span", sign, class_="cl-icon", aria_hidden="true")

    # Forms

    def fields(
        self,
        name: str,
        *,
        only: Iterable[str] | None = None,
        advanced: bool = False,
        without: Iterable[str] = (),
    ) -> Html:
        """The fields of an option group for the shown origin or edit."""
        wanted, unwanted = None if only is None else set(only), set(without)
        made = []
        for option in group(name):
            if option.advanced != advanced and wanted is None:
                continue
            if (wanted is not None and option.name not in wanted) or option.name in unwanted:
                continue
            made.append(option)
        target = made[0].scope if made else "recipe"
        # With one edit its value is the common one to everybody who looks.
        edit, recipe = self.edit if len(self.opened.recipe.edits) > 1 else None, self.opened.recipe
        own = (
            frozenset(key for key, value in edit.settings if value != recipe.get(key))
            if edit
            else frozenset()
        )
        return form.fields(
            made,
            self.value,
            self.texts,
            target=target,
            shown=self.shown_values(),
            own=own,
            faults=self._faults(),
        )

    def _faults(self) -> dict[str, str]:
        """What is wrong with settings of the recipe, and of the shown origin and edit, by key."""
        shown = {"", *(one.name for one in (self.origin, self.edit) if one is not None)}
        return {
            place.key: self.texts.said(fault)
            for fault, place in zip(self.opened.faults, self.opened.places, strict=True)
            if place.key and {place.origin, place.edit} <= shown
        }

    def folded_fields(self, name: str, *, without: Iterable[str] = ()) -> Html:
        """The advanced fields of a group, folded away."""
        content = self.fields(name, advanced=True, without=without)
        return form.folded(self.texts("form.more"), content, name=f"more-{name}")

    def value(self, option: Option) -> Value:
        """An option's value as the shown origin or edit has it."""
        if option.scope == "origin":
            return self.origin.get(option.name) if self.origin else option.default
        return self.opened.recipe.get(option.key, self.edit)

    def shown_values(self) -> dict[str, Value]:
        """All values by key: they decide which fields matter."""
        return {key: self.value(option) for key, option in OPTIONS.items()}

    # Pictures

    def url(self, path: Path) -> str:
        """Where the browser finds a picture of the project."""
        return self.routes.url(path)

    def nothing(self, key: str) -> Html:
        """A sentence where there is nothing to show yet."""
        return tag("p", self.texts(key), class_="cl-quiet")

    def block(self, title_key: str, *content: Html | None) -> Html:
        """A titled part of a panel; empty where it has no content."""
        kept = [one for one in content if one]
        if not kept:
            return Html("")
        return tag("section", tag("h3", self.texts(title_key)), kept, class_="cl-block")

    def facts(self, rows: Iterable[tuple[str, str, str]]) -> Html:
        """Numbers in boxes: (text key, value, ``good``, ``poor`` or empty)."""
        boxes = [
            tag(
                "div",
                tag("dt", self.texts(key)),
                tag("dd", value),
                class_=f"cl-fact cl-{verdict}" if verdict else "cl-fact",
            )
            for key, value, verdict in rows
        ]
        return tag("dl", boxes, class_="cl-facts") if boxes else Html("")
