"""The search for a good origin as the page sees it: a study in the project's folder, and its job."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lib_copier.errors import CopierError
from lib_copier.graph.queue import Job
from lib_copier.graph.status import StepStatus
from lib_copier.study.joint import JointPlan
from lib_copier.study.score import Outcome, outcome_of
from lib_copier.study.study import Study
from lib_copier.study.variants import Variant
from lib_copier.ui.page import Page


def folder_of(page: Page) -> Path:
    """Where the search lies: among the project's unfinished work, which may be deleted."""
    return page.opened.project.store.work / "scout"


def job_of(page: Page) -> Job | None:
    """The open job of the search, else the last one that ended."""
    return page.workshop.queue.find(str(folder_of(page)))


def scout_of(page: Page) -> Scout | None:
    """The search that was begun last for the shown origin; None where there was none."""
    try:
        study = Study.open(folder_of(page))
    except (CopierError, OSError):
        return None
    study.readings = page.workshop.readings
    origin = page.origin
    if origin is None or study.question.recipe.origins[0].name != origin.name:
        return None
    return Scout(study)


@dataclass(frozen=True)
class Scout:
    """A search with what it has come to."""

    study: Study

    @cached_property
    def joint(self) -> JointPlan:
        """All its steps."""
        return self.study.joint(self.study.question.climbed[-1])

    @cached_property
    def statuses(self) -> dict[str, StepStatus]:
        """Where they stand."""
        return self.study.statuses(self.joint)

    @property
    def share(self) -> float:
        """How much of it is done, 0 … 1."""
        return sum(one.is_made for one in self.statuses.values()) / max(len(self.statuses), 1)

    def outcomes(self) -> dict[int, Outcome]:
        """What each picture came to so far, by its variant's number."""
        found = {}
        for variant in self.study.variants:
            own = dict.fromkeys(self.joint.ids[variant.number].values())
            found[variant.number] = outcome_of([self.statuses[step] for step in own], "scout")
        return found

    def picture(self, variant: Variant) -> StepStatus:
        """The step that makes a variant's picture."""
        origin = self.study.question.recipe.origins[0].name
        return self.statuses[self.joint.ids[variant.number][f"origin/{origin}"]]
