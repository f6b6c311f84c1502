"""``KEY=VALUE``: changes a recipe at one address, from a typed text or a ready value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lib_copier.errors import FaultsError
from lib_copier.files.names import name_fault, normal_name
from lib_copier.recipe.model import Edit, Effect, Origin, Recipe, effect_number, parse_effects, settings_of
from lib_copier.recipe.options import OPTIONS, meant
from lib_copier.recipe.presets import PRESETS, apply_preset
from lib_copier.settings.option import Value
from lib_copier.txt2img.pictures import RANDOM_SEED, drawn_seed

_OF_EDITS = tuple(key for key, option in OPTIONS.items() if option.scope == "edit")


def all_changed(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with a value at each address, all or none; see `changed`.

    Raises
    ------
    FaultsError
        Every address and value that cannot be used.
    """
    found: list[str] = []
    for address, value in values.items():
        try:
            recipe = changed(recipe, address, value)
        except ValueError as error:
            found.append(str(error))
    if found:
        raise FaultsError("settings", found, "Nothing was changed.")
    return recipe


def changed(recipe: Recipe, address: str, value: Any) -> Recipe:
    """The recipe with one thing changed.

    ``GROUP.NAME``
        A setting for all; for ``origin.NAME`` the only origin's.
    ``origins.ORIGIN.NAME``, ``edits.EDIT.GROUP.NAME``
        One origin's, one edit's own. ``edits.EDIT.GROUP.NAME`` = None goes back to the common one.
    ``edits.EDIT.effects``
        Text (``outline:strength=0.8+posterize``), or Effect objects.
    ``edits.EDIT.effects.strength``, ``edits.EDIT.effects.PARAMETER``
        A number of the edit's one effect; ``edits.EDIT.effects.EFFECT.PARAMETER`` where it has several.
    ``edits.EDIT.files.ORIGIN``
        A picture of the user's own; None or empty takes it out.
    ``origins.ORIGIN`` = None, ``edits.EDIT`` = None
        Removes it; any other value makes it, if it is not there.
    ``origins.ORIGIN.name``, ``edits.EDIT.name``
        Renames it.
    ``preset``
        Sets all that the preset of that name sets.

    Raises
    ------
    ValueError
        One sentence, where there is no such address or it does not take the value.
    """
    head, _, rest = address.partition(".")
    if address == "preset":
        if value not in PRESETS:
            raise ValueError(f"there is no preset {value!r} (there are: {', '.join(PRESETS)})")
        return apply_preset(recipe, value)
    if head == "origins" and rest:
        return _change_origin(recipe, rest, value)
    if head == "edits" and rest:
        return _change_edit(recipe, rest, value)
    option = OPTIONS.get(address)
    if option is None:
        raise ValueError(f"{address} is no setting{_nearest(address)}")
    if option.scope == "origin":
        if len(recipe.origins) != 1:
            raise ValueError(f"{address} belongs to an origin: say origins.NAME.{option.name}")
        return _change_origin(recipe, f"{recipe.origins[0].name}.{option.name}", value)
    return recipe.with_settings({address: _value(address, value)})


def _change_origin(recipe: Recipe, rest: str, value: Any) -> Recipe:
    name, _, field = rest.rpartition(".") if _knows_field(rest, "origin") else (rest, "", "")
    name = _named("origin", name)
    present = next((one for one in recipe.origins if one.name == name), None)
    if not field:
        if value is None:
            return recipe.without_origin(name)
        return recipe if present else recipe.with_origin(Origin(name))
    if field == "name":
        return _renamed_origin(recipe, name, _named("origin", str(value)))
    origin = present or Origin(name)
    return recipe.with_origin(origin.replaced(**{field: _value(f"origin.{field}", value)}))


def _change_edit(recipe: Recipe, rest: str, value: Any) -> Recipe:
    name, field = _split_edit(rest)
    name = _named("edit", name)
    present = next((one for one in recipe.edits if one.name == name), None)
    if not field:
        if value is None:
            return recipe.without_edit(name)
        return recipe if present else recipe.with_edit(Edit(name))
    edit = present or Edit(name)
    if field == "name":
        other = _named("edit", str(value))
        return replace(recipe, edits=_without_clash(recipe.edits, name, replace(edit, name=other)))
    if field == "effects":
        return recipe.with_edit(replace(edit, effects=_effects(value)))
    if field.startswith("effects."):
        return recipe.with_edit(replace(edit, effects=_tuned(edit, field.removeprefix("effects."), value)))
    if field.startswith("files."):
        files = {key: path for key, path in edit.files if key != field[6:]}
        files |= {field[6:]: str(value)} if value else {}
        return recipe.with_edit(replace(edit, files=tuple(sorted(files.items()))))
    own = dict(edit.settings)
    if value is None:
        own.pop(field, None)
    else:
        own[field] = _value(field, value)
    return recipe.with_edit(replace(edit, settings=settings_of(own)))


def _split_edit(rest: str) -> tuple[str, str]:
    """Name of the edit (which may hold dots) and what of it is meant."""
    # Settings first: the name of the published file, EDIT.publish.name, is not the edit's own name.
    for key in _OF_EDITS:
        if rest.endswith(f".{key}"):
            return rest.removesuffix(f".{key}"), key
    for part in (".effects", ".name"):
        if rest.endswith(part):
            return rest.removesuffix(part), part[1:]
    for part in ("files", "effects"):
        name, dotted, of_it = rest.partition(f".{part}.")
        if dotted:
            return name, f"{part}.{of_it}"
    tail = ".".join(rest.split(".")[-2:])
    if tail in OPTIONS:
        raise ValueError(f"{tail} is no setting that an edit may have for itself")
    return rest, ""


def _knows_field(rest: str, group: str) -> bool:
    field = rest.rpartition(".")[2]
    return "." in rest and (field == "name" or f"{group}.{field}" in OPTIONS)


def _renamed_origin(recipe: Recipe, name: str, other: str) -> Recipe:
    origin = next((one for one in recipe.origins if one.name == name), None)
    if origin is None:
        raise ValueError(f"there is no origin {name!r}")
    edits = tuple(
        replace(edit, files=tuple((other if key == name else key, path) for key, path in edit.files))
        for edit in recipe.edits
    )
    return replace(
        recipe, origins=_without_clash(recipe.origins, name, replace(origin, name=other)), edits=edits
    )


def _without_clash(items: tuple[Any, ...], name: str, renamed: Any) -> tuple[Any, ...]:
    if any(one.name == renamed.name for one in items if one.name != name):
        raise ValueError(f"there is a {renamed.name!r} already")
    return tuple(renamed if one.name == name else one for one in items)


def _effects(value: Any) -> tuple[Effect, ...]:
    if value is None or isinstance(value, str):
        return parse_effects(value or "")
    found = tuple(value)
    if not all(isinstance(one, Effect) for one in found):
        raise ValueError("effects are a text or Effect objects")
    return found


def _tuned(edit: Edit, named: str, value: Any) -> tuple[Effect, ...]:
    """The edit's effects with one number changed: ``PARAMETER``, or ``EFFECT.PARAMETER``."""
    name, dotted, parameter = named.rpartition(".")
    places = [at for at, one in enumerate(edit.effects) if not dotted or one.name == name]
    if len(places) != 1:
        there = ", ".join(one.name for one in edit.effects) or "none"
        raise ValueError(f"edits.{edit.name}.effects.{named} means no one effect (there: {there})")
    effect = edit.effects[places[0]]
    number = effect_number(parameter, str(value))
    if parameter == "strength":
        found = replace(effect, strength=number)
    else:
        found = replace(effect, params=tuple(sorted({**dict(effect.params), parameter: number}.items())))
    return (*edit.effects[: places[0]], found, *edit.effects[places[0] + 1 :])


def value_at(recipe: Recipe, address: str) -> Value:
    """The setting at an address, as the recipe holds it.

    Raises
    ------
    KeyError
        Where the address is that of no setting or file: a name, an effect, a preset.
    """
    head, _, rest = address.partition(".")
    if address in OPTIONS and OPTIONS[address].scope != "origin":
        return recipe.get(address)
    if head == "origins":
        name, _, field = rest.rpartition(".")
        return recipe.origin(name).get(field)
    if head == "origin":
        return recipe.origins[0].get(rest)
    edit_name, field = _split_edit(rest)
    if head != "edits" or not field.startswith("files.") and field not in OPTIONS:
        raise KeyError(address)
    edit = recipe.edit(edit_name)
    return edit.file_for(field[6:]) if field.startswith("files.") else dict(edit.settings)[field]


def _value(key: str, value: Any) -> Value:
    option = OPTIONS[key]
    if option.name == "seed" and str(value).strip() == str(RANDOM_SEED):
        # Drawn now, once: a random seed in a step's key would make every plan another.
        return option.accept(drawn_seed())
    read: Callable[[Any], Value] = option.parse if isinstance(value, str) else option.accept
    return read(value)


def _named(what: str, name: str) -> str:
    normal = normal_name(name)
    fault = name_fault(normal)
    if fault:
        raise ValueError(f"the name of the {what}, {name!r}, {fault}")
    return normal


def _nearest(address: str) -> str:
    found = meant(address)
    return f" (did you mean {' or '.join(found)}?)" if found else ""
