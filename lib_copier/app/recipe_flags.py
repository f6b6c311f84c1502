"""A recipe as command line flags: its preset, origins, edits and every setting."""

from __future__ import annotations

import argparse
from typing import Any

from lib_copier.app.flags import add_option_flags, given_values
from lib_copier.recipe.options import OPTIONS
from lib_copier.recipe.presets import PRESETS, first_values


def add_recipe_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that `recipe_changes` reads."""
    parser.add_argument("--preset", choices=tuple(PRESETS), help="default: auto")
    parser.add_argument("--origin", action="append", default=[], metavar="NAME[=PICTURE]")
    parser.add_argument(
        "--edit", action="append", default=[], metavar="NAME=EFFECTS", help="outline:strength=0.8+posterize"
    )
    add_option_flags(parser)


def recipe_changes(arguments: argparse.Namespace, *, has_recipe: bool) -> dict[str, Any]:
    """What the flags change, by address; what the preset goes by and the preset first, so that flags win.

    A recipe that was given keeps its preset, unless another is named.
    """
    values = given_values(arguments)
    origins = arguments.origin
    if not origins and any(key.startswith("origin.") for key in values):
        origins = ["origin"]
    pictures = {name: picture for name, _, picture in (text.partition("=") for text in origins)}
    checkpoint = str(values.get("project.checkpoint", ""))
    first = ("project.checkpoint", "project.method")
    changes: dict[str, Any] = {key: values[key] for key in first if values.get(key)}
    changes |= {f"origins.{name}": True for name in pictures}
    changes |= first_values(checkpoint, pictures)
    for name, picture in pictures.items():
        if picture:
            changes |= {f"origins.{name}.source": "file", f"origins.{name}.file": picture}
    for text in arguments.edit:
        name, equals, effects = text.partition("=")
        changes[f"edits.{name}.effects"] = effects if equals else name
    if arguments.preset or not has_recipe:
        changes["preset"] = arguments.preset or "auto"
    for key, value in values.items():
        targets = list(pictures) if key.startswith("origin.") else []
        changes |= {f"origins.{name}.{key.partition('.')[2]}": value for name in targets} or {key: value}
        if OPTIONS[key].scope == "edit":
            # A preset may give weak effects values of their own; a flag means all edits.
            changes |= {f"edits.{text.partition('=')[0]}.{key}": None for text in arguments.edit}
    return changes
