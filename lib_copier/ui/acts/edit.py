"""Edits: their names, their chains of effects, and pictures of the user's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from lib_copier.errors import InputError
from lib_copier.files.names import checked_name
from lib_copier.recipe.model import Edit, Effect, Recipe
from lib_copier.ui import live
from lib_copier.ui.acts.act import Outcome, require_project, require_room, the_edit, the_origin
from lib_copier.ui.page import Page
from lib_copier.ui.request import Details, text_of, uploaded, values_of
from lib_copier.ui.uploads import take

_LONGEST_CHAIN = 8


def add(page: Page, details: Details) -> Outcome:
    """One more edit, without effects yet."""
    require_project(page)
    made = page.opened.project.change(_with_one_more).recipe.edits[-1]
    return Outcome(view=page.view.at(edit=made.name, link=0))


def _with_one_more(recipe: Recipe) -> Recipe:
    require_room(recipe.edits, "edits")
    taken = {edit.name.casefold() for edit in recipe.edits}
    number = next(n for n in count(1) if f"edit-{n}" not in taken)
    return recipe.with_edit(Edit(f"edit-{number}"))


def rename(page: Page, details: Details) -> Outcome:
    """Give the shown edit another name."""
    require_project(page)
    name = checked_name(text_of(values_of(details), "name"), "edit")
    page.opened.project.set({f"edits.{the_edit(page).name}.name": name})
    return Outcome(view=page.view.at(edit=name))


def remove(page: Page, details: Details) -> Outcome:
    """Take the shown edit out of the recipe; what was made of it stays until pruned."""
    require_project(page)
    page.opened.project.set({f"edits.{the_edit(page).name}": None}).forget_pictures()
    return Outcome(view=page.view.at(edit="", link=0))


def add_effect(page: Page, details: Details) -> Outcome:
    """Put an effect at the end of the chain, with its default values."""
    require_project(page)
    name, edit = text_of(details, "value"), the_edit(page)
    if name not in live.effect_names() or len(edit.effects) >= _LONGEST_CHAIN:
        raise InputError(
            f"{name or 'That'} cannot be added.", f"A chain has at most {_LONGEST_CHAIN} effects."
        )
    _store(page, lambda effects: (*effects, Effect(name)))
    return Outcome(view=page.view.at(link=len(edit.effects)))


def remove_effect(page: Page, details: Details) -> Outcome:
    """Take the shown effect out of the chain."""
    require_project(page)
    number = _link(page)
    _store(page, lambda effects: effects[:number] + effects[number + 1 :])
    return Outcome(view=page.view.at(link=0))


def try_effect(page: Page, details: Details) -> Outcome:
    """Show what the moved slider says without storing it."""
    require_project(page)
    return Outcome(live=_moved(the_edit(page).effects, _link(page), values_of(details)))


def set_effect(page: Page, details: Details) -> Outcome:
    """Store what the moved slider says; all others stay as they are."""
    require_project(page)
    number = _link(page)
    _store(page, lambda effects: _moved(effects, number, values_of(details)))
    return Outcome()


def upload(page: Page, details: Details) -> Outcome:
    """Take an uploaded picture as the shown origin's edited picture."""
    from lib_copier.image.files import read_picture

    require_project(page)
    name, content = uploaded(details)
    opened = read_picture(content)
    origin, edit = the_origin(page).name, the_edit(page).name
    take(
        page.opened.project,
        opened.image,
        f"{edit}-{origin}",
        lambda path: {f"edits.{edit}.files.{origin}": path},
    )
    notes = page.texts("said.then").join(map(page.texts.said, opened.notes))
    return Outcome(notes or page.texts("said.taken", name=name))


def remove_upload(page: Page, details: Details) -> Outcome:
    """Go back from the user's own picture to the effects."""
    require_project(page)
    page.opened.project.set(
        {f"edits.{the_edit(page).name}.files.{the_origin(page).name}": None}
    ).forget_pictures()
    return Outcome()


def _store(page: Page, alter: Callable[[tuple[Effect, ...]], tuple[Effect, ...]]) -> None:
    name = the_edit(page).name

    def altered(recipe: Recipe) -> Recipe:
        edit = next((one for one in recipe.edits if one.name == name), Edit(name))
        return recipe.with_edit(replace(edit, effects=alter(edit.effects)))

    page.opened.project.change(altered)


def _link(page: Page) -> int:
    count = len(the_edit(page).effects)
    if count == 0:
        raise InputError("The edit has no effect yet.", "Add one first.")
    return min(page.view.link, count - 1)


def _moved(effects: tuple[Effect, ...], number: int, values: Mapping[str, Any]) -> tuple[Effect, ...]:
    """The chain with one effect as the moved sliders say: ``strength`` and ``param.NAME``.

    A parameter at its default is not kept, so that moving it back leaves the chain as it was.

    Raises
    ------
    InputError
        Where a value is no number or outside what the effect takes, or the effect is gone.
    """
    found = effects[number] if number < len(effects) else Effect("")
    known = live.effect_of(found.name)
    if known is None:
        raise InputError(f"There is no effect {found.name}.", "Remove it, and add another.")
    if not values:
        raise InputError("No slider was moved.", "Reload the page and try again.")
    given = {key.removeprefix("param."): _number(value) for key, value in values.items()}
    strength, defaults = given.pop("strength", found.strength), known.values({})
    changed = dict(found.params) | {
        key: int(value) if isinstance(defaults.get(key), int) and value.is_integer() else value
        for key, value in given.items()
    }
    faults = known.faults(strength, changed)
    if faults:
        raise InputError(f"The effect {found.name}: {'; '.join(faults)}.", "Move its sliders back.")
    kept = sorted(
        (key, value) for key, value in changed.items() if key not in given or value != defaults[key]
    )
    return (*effects[:number], Effect(found.name, strength, tuple(kept)), *effects[number + 1 :])


def _number(value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise InputError("A slider gave no number.", "Reload the page and try again.")
    return found
