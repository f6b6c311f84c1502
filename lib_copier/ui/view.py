"""Where a browser stands in the wizard: names only, checked anew on every request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

PANELS = (
    "project",
    "origin",
    "copier",
    "check",
    "edit",
    "edit_lora",
    "combine",
    "preview",
    "publish",
    "jobs",
)
"""The panels in the order of the method; ``jobs`` stands apart at the end."""

WITHOUT_PROJECT = frozenset({"project", "jobs"})
"""The panels that are there before a project is open."""

STEP_KINDS: Mapping[str, tuple[str, ...]] = {
    "project": ("base_lora", "base"),
    "origin": ("origin", "caption"),
    "copier": ("copier", "copier_model"),
    "check": ("check",),
    "edit": ("edit", "survival", "rule", "pictures", "walk", "pairs"),
    "edit_lora": ("edit_lora", "edited_copier"),
    "combine": ("merge", "difference", "svd", "resize", "calibrate"),
    "preview": ("sweep", "control_lora", "control_resize", "control"),
    "publish": ("publish",),
}
"""Which steps of a plan a panel shows: the part of a step's id before the first ``/``."""

NOT_IN: Mapping[str, frozenset[str]] = {"pairs": frozenset({"copier", "check"})}
"""The panels that a method has nothing for."""


def panel_of(kind: str) -> str:
    """The panel of a kind of step, or of the settings of that name."""
    return next((panel for panel, kinds in STEP_KINDS.items() if kind in kinds), "project")


_LONGEST_PATH = 4096


@dataclass(frozen=True)
class View:
    """A place in the wizard. The browser keeps it; the server believes none of it."""

    project: str = ""
    panel: str = "project"
    origin: str = ""
    edit: str = ""
    link: int = 0
    """Which effect of the edit's chain is being set."""
    checkpoint: str = ""
    """The file that is chosen in the form of a new project, which suggests what suits it."""

    @staticmethod
    def from_json(value: Any) -> View:
        """A view out of what a client sent; what is not usable becomes the default."""
        given = value if isinstance(value, Mapping) else {}

        def name(key: str, longest: int = 200) -> str:
            found = given.get(key)
            return found if isinstance(found, str) and len(found) <= longest else ""

        panel = name("panel")
        link = given.get("link")
        is_number = isinstance(link, int) and not isinstance(link, bool) and 0 <= link < 100
        return View(
            project=name("project"),
            panel=panel if panel in PANELS else "project",
            origin=name("origin"),
            edit=name("edit"),
            link=int(link or 0) if is_number else 0,
            checkpoint=name("checkpoint", _LONGEST_PATH),
        )

    def to_json(self) -> dict[str, Any]:
        """As the browser keeps it."""
        return asdict(self)

    def at(self, **changes: Any) -> View:
        """The same view with some fields changed."""
        return replace(self, **changes)
