"""Settings that several groups have: of a picture, of a training, and of pictures to judge or learn by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from lib_copier.settings.option import Option, Value
from lib_copier.settings.training import SETTINGS, STEP_SETTINGS
from lib_copier.txt2img import pictures

STEP_ENGINES = ("project", "embedded", "sd-scripts")


def picture_option(key: str, *, default: Any = None, label: str = "", **more: Any) -> Option:
    """A setting of pictures, with the range that every request of a picture has."""
    name = key.partition(".")[2]
    setting, own = pictures.SETTINGS[name], getattr(pictures.PictureRequest, name)
    kind = "text" if name.endswith("prompt") else type(own).__name__
    return Option(
        key,
        kind,
        own if default is None else default,
        label or setting.label,
        minimum=setting.minimum,
        maximum=setting.maximum,
        choices=setting.choices,
        **more,
    )


def training_options(
    group: str,
    *,
    scope: str = "recipe",
    shown_when: tuple[str, tuple[Value, ...]] | None = None,
    defaults: Mapping[str, Value] = MappingProxyType({}),
) -> Iterator[Option]:
    """The settings of one group's training, e.g. ``copier.steps``; `defaults` replaces some of the memo's."""
    own = Option("engine", "str", "project", "Engine", "project: as the project says.", choices=STEP_ENGINES)
    for row in (*(SETTINGS[name] for name in STEP_SETTINGS), replace(own, advanced=True)):
        yield replace(
            row,
            key=f"{group}.{row.key}",
            default=defaults.get(row.key, row.default),
            scope=scope,
            shown_when=shown_when,
        )


def tried_options(group: str, *, pairs: int, first_seed: int, scope: str, **more: Any) -> tuple[Option, ...]:
    """Which pictures a LoRA is tried on, or learned from."""
    return (
        Option(
            f"{group}.pairs", "int", pairs, "Pictures", "Prompt and seed pairs.", 1, 64, scope=scope, **more
        ),
        Option(
            f"{group}.prompts",
            "list",
            (),
            "Prompts",
            "One a line; empty: a set of ours.",
            scope=scope,
            **more,
        ),
        picture_option(
            f"{group}.seed", default=first_seed, label="First seed", scope=scope, advanced=True, **more
        ),
    )


def judging_options(group: str, *, pairs: int, scope: str) -> tuple[Option, ...]:
    """Settings of a set of pictures made to judge a LoRA by."""
    return (
        *tried_options(group, pairs=pairs, first_seed=1000, scope=scope),
        picture_option(f"{group}.negative_prompt", scope=scope, advanced=True),
        *(
            picture_option(f"{group}.{name}", scope=scope, advanced=True)
            for name in ("steps", "cfg_scale", "clip_skip", "sampler")
        ),
    )
