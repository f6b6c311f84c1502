"""What a study asks: a recipe, the axes along which it varies, and how far its variants are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lib_copier.errors import InputError
from lib_copier.recipe.document import from_document, readable_document
from lib_copier.recipe.model import Recipe
from lib_copier.study.axes import Axis, document_of, read_axes
from lib_copier.study.rungs import WHOLE, Rung, read_rungs

SCHEMA = 1
MOST_REDUCTION = 100
_PARTS = {"schema", "recipe", "axes", "is_crossed", "rungs", "reduction"}


@dataclass(frozen=True)
class Question:
    """What a study asks: frozen data, all of it checked.

    Parameters
    ----------
    recipe:
        What every variant starts from.
    is_crossed:
        Every value with every other; else the axes are listed side by side.
    rungs:
        How far variants are taken; the last is the end.
    reduction:
        One in so many goes on from each rung to the next; 0: all are taken to the end at once.
    """

    recipe: Recipe
    axes: tuple[Axis, ...]
    is_crossed: bool = True
    rungs: tuple[Rung, ...] = (WHOLE,)
    reduction: int = 0

    @property
    def climbed(self) -> tuple[Rung, ...]:
        """The rungs that are climbed: without pruning, the last alone."""
        return self.rungs if self.reduction else self.rungs[-1:]

    def checked(self) -> Question:
        """Itself, where its numbers can be."""
        if self.reduction not in (0, *range(2, MOST_REDUCTION + 1)):
            raise InputError(
                f"One variant in {self.reduction} cannot go on.", f"Take 2 to {MOST_REDUCTION}, or 0 for all."
            )
        return self

    def to_json(self) -> dict[str, Any]:
        """As `study.json` holds it."""
        return {
            "schema": SCHEMA,
            "recipe": readable_document(self.recipe, "recipe of the study"),
            "axes": document_of(self.axes),
            "is_crossed": self.is_crossed,
            "rungs": [rung.to_json() for rung in self.rungs],
            "reduction": self.reduction,
        }


def read_question(given: Any, subject: str) -> Question:
    """The question in JSON data.

    Raises
    ------
    InputError, FaultsError
        What of it cannot be used.
    """
    if not isinstance(given, dict) or set(given) != _PARTS or given["schema"] != SCHEMA:
        raise InputError(f"{subject} is no study of this version.", "Make one with `study new`.")
    recipe = from_document(given["recipe"], subject)
    is_crossed, reduction = given["is_crossed"], given["reduction"]
    if not isinstance(is_crossed, bool) or type(reduction) is not int:
        raise InputError(f"{subject}: is_crossed or reduction is unreadable.", "Make the study anew.")
    axes = read_axes(given["axes"], recipe, is_crossed=is_crossed)
    return Question(recipe, axes, is_crossed, read_rungs(given["rungs"], recipe), reduction).checked()
