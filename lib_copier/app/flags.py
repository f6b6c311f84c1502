"""The option table as command line flags: ``--copier.rank 64``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lib_copier.recipe.options import GROUPS, OPTIONS, meant
from lib_copier.settings.option import Option

_PREFIX = "option "


def add_option_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for every option, grouped as in the table."""
    groups = {name: parser.add_argument_group(title) for name, title in GROUPS.items()}
    for option in OPTIONS.values():
        groups[option.group].add_argument(
            f"--{option.key}",
            dest=_PREFIX + option.key,
            default=None,
            metavar=_metavar(option),
            help=_help(option),
        )


def parse_with_hints(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse, and where a flag is unknown name the options that it may mean, then exit."""
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        flags = [word.partition("=")[0].lstrip("-") for word in unknown if word.startswith("--")]
        means = [f"--{key}" for flag in flags for key in meant(flag.replace("-", "_"))]
        parser.error(
            f"unrecognized arguments: {' '.join(unknown)}"
            + (f" (did you mean {' or '.join(means)}?)" if means else "")
        )
    return arguments


def given_values(arguments: argparse.Namespace) -> dict[str, str]:
    """The texts that were given, by key. They are read by `Project.set`, which tells all faults at once."""
    return {
        name.removeprefix(_PREFIX): value
        for name, value in vars(arguments).items()
        if name.startswith(_PREFIX) and value is not None
    }


def _metavar(option: Option) -> str:
    if option.choices:
        return "{" + ",".join(option.choices) + "}"
    return {"bool": "yes|no", "int": "N", "float": "X", "path": "PATH", "list": "A;B", "paths": "A;B"}.get(
        option.kind, "TEXT"
    )


def _help(option: Option) -> str:
    parts = [
        option.label.rstrip(".") + ".",
        option.help,
        f"Default: {option.text(option.default) or '(empty)'}.",
    ]
    return " ".join(part for part in parts if part).replace("%", "%%")
