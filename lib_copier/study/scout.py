"""A good origin: a study of a few pictures by prompt and seed, each learned for a few steps only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lib_copier.errors import FaultsError
from lib_copier.recipe.check import faults
from lib_copier.recipe.model import Edit, Effect, Recipe
from lib_copier.study.axes import Axis, Choice
from lib_copier.study.question import Question
from lib_copier.study.rungs import Rung
from lib_copier.study.study import Study
from lib_copier.study.variants import Variant

MOST_PICTURES = 24
FEW_STEPS = 100
_FEW_PAIRS = 3
_JUDGED = {"check.enabled": True, "edit.check_vae": True, "sweep.enabled": True}


def scout_question(recipe: Recipe, origin: str, prompts: Sequence[str], seeds: int) -> Question:
    """Which picture of these prompts, by so many seeds from the origin's own on, is a good origin.

    Each is judged by how far a copier comes in `FEW_STEPS`, and by what the VAE keeps of the recipe's edits
    on it; edits that are pictures of a person's own are left out.

    Raises
    ------
    FaultsError
        What keeps the recipe from being run.
    """
    one = recipe.origin(origin).replaced(source="generate", file="", prompt=prompts[0])
    edits = tuple(replace(edit, files=()) for edit in recipe.edits if edit.effects)
    until = ("check", "survival") if edits else ("check",)
    asked = edits or (Edit("outline", (Effect("outline"),)),)
    base = replace(recipe, origins=(one,), edits=asked).with_settings(_JUDGED)
    first = int(str(one.get("seed")))
    choices = tuple(
        Choice(f"{prompt[:40]} {first + more}", _changes(origin, prompt, first + more))
        for prompt in prompts
        for more in range(seeds)
    )
    few = (
        ("copier.steps", min(FEW_STEPS, base.whole("copier.steps"))),
        ("check.pairs", min(_FEW_PAIRS, base.whole("check.pairs"))),
    )
    return Question(base, (Axis("origin", choices),), rungs=(Rung("scout", until, few),))


def require_recipe(study: Study, name: str) -> None:
    """Raise FaultsError where the first variant cannot be run: the others differ in prompt and seed alone."""
    found = faults(study.recipe(study.variants[0]), study.folder)
    if found:
        raise FaultsError(f"recipe of {name}", found, "Mend them with `set`, or in the wizard.")


def picture_of(variant: Variant) -> dict[str, str | int]:
    """The settings of the origin that a variant tries, by address."""
    (choice,) = variant.choices
    return dict(choice.changes)


def _changes(origin: str, prompt: str, seed: int) -> tuple[tuple[str, str | int], ...]:
    return ((f"origins.{origin}.prompt", prompt), (f"origins.{origin}.seed", seed))
