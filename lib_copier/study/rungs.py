"""How far variants are taken, rung by rung: cheap looks at all, the whole chain for the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib_copier.errors import FaultsError
from lib_copier.graph.step import Plan
from lib_copier.recipe.model import Recipe
from lib_copier.steps.change import all_changed, changed

JUDGING = ("survival", "check", "sweep")
"""Kinds of steps that measure something, in the order in which the method comes to them."""
MOST_RUNGS = 8
LOOK_PAIRS = 4
"""Pictures of the sweep of a first look."""


@dataclass(frozen=True)
class Rung:
    """A part of the chain: up to the steps of some kinds, with some settings other than the variant's."""

    name: str
    until: tuple[str, ...] = ("sweep",)
    changes: tuple[tuple[str, Any], ...] = ()

    def recipe(self, variant: Recipe) -> Recipe:
        """The variant's recipe as this rung takes it."""
        return all_changed(variant, dict(self.changes))

    def of(self, plan: Plan) -> Plan:
        """The steps of a variant's plan that belong to it; a goal that they wait for belongs to it too."""
        return plan.up_to(step.id for step in plan if step.kind in self.until)

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {"name": self.name, "until": list(self.until), "set": dict(self.changes)}


WHOLE = Rung("whole")


def usual_rungs(recipe: Recipe) -> tuple[Rung, ...]:
    """What a study that prunes climbs: is it a copier, does the VAE keep the edit; a few pictures; all."""
    rungs = [Rung("copier", ("check", "survival"))]
    if recipe.whole("sweep.pairs") > LOOK_PAIRS:
        rungs.append(Rung("look", changes=(("sweep.pairs", LOOK_PAIRS),)))
    return (*rungs, WHOLE)


def read_rungs(given: Any, base: Recipe) -> tuple[Rung, ...]:
    """The rungs in JSON data, their settings tried on the recipe that the study starts from.

    Raises
    ------
    FaultsError
        Every fault.
    """
    faults: list[str] = []
    if not isinstance(given, list) or not 0 < len(given) <= MOST_RUNGS:
        faults.append(f"they are no list of 1 to {MOST_RUNGS} rungs")
        given = []
    rungs = [rung for one in given if (rung := _read_rung(one, base, faults)) is not None]
    if len({rung.name for rung in rungs}) < len(rungs):
        faults.append("two of them have one name")
    if faults:
        raise FaultsError("rungs", faults, "Mend them, then try again.")
    return tuple(rungs)


def _read_rung(given: Any, base: Recipe, faults: list[str]) -> Rung | None:
    if not isinstance(given, dict) or set(given) != {"name", "until", "set"}:
        faults.append("a rung is an object of name, until and set")
        return None
    name, until, settings = given["name"], given["until"], given["set"]
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 60:
        faults.append("a rung has no name")
        return None
    where = f"rung {name!r}"
    if not isinstance(until, list) or not until or any(kind not in JUDGING for kind in until):
        faults.append(f"{where}: until is a list of {', '.join(JUDGING)}")
        return None
    if not isinstance(settings, Mapping):
        faults.append(f"{where}: set is no object")
        return None
    for address, value in settings.items():
        try:
            changed(base, address, value)
        except (ValueError, TypeError) as error:
            faults.append(f"{where}: {error}")
    return Rung(name, tuple(until), tuple(settings.items()))
