"""What a run is asked to do, read from JSON with every fault at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_copier.errors import FaultsError, InputError
from lib_copier.files.disk import has_types, is_there, read_json
from lib_copier.settings.option import Option
from lib_copier.settings.training import SETTINGS, Picture, TrainTask, Turn, WeightedLora, setting_faults
from lib_copier.train.optimizer import missing_package
from lib_copier.txt2img.prompt import caption_at_its_word

Rule = Callable[[Any], Any]
"""Takes a JSON value; returns the typed value or raises ValueError with the reason, in words."""


@dataclass(frozen=True)
class TrainConfig(TrainTask):
    """A task in the process that does it."""

    work_dir: Path = field(kw_only=True)
    """State, metrics and samples live here. Left out: a folder beside the output."""


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"must be a path, not {value!r}")
    return Path(value).expanduser()


def _existing_file(value: Any) -> Path:
    found = _path(value)
    if is_there(found, as_folder=True):
        raise ValueError(f"is a folder, not a file: {found}")
    if not is_there(found):
        raise ValueError(f"is not there: {found}")
    return found


def _file_or_none(value: Any) -> Path | None:
    return None if value is None else _existing_file(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {value!r}")
    return value


def _caption(value: Any) -> str:
    return caption_at_its_word(_text(value))


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list of texts, not {value!r}")
    return tuple(_text(item) for item in value)


def _entries(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise ValueError(f"must be an object of names and values, not {value!r}")
    for name, item in value.items():
        if isinstance(item, (dict, list)) or item is None:
            raise ValueError(f"holds {name!r}, whose value must be a text or a number, not {item!r}")
    return tuple((str(name), item if isinstance(item, str) else str(item)) for name, item in value.items())


def _list_of(kind: type, rules: Mapping[str, Rule]) -> Rule:
    """A list of objects as a tuple of dataclasses; a fault names its place in the list."""

    def one(value: Any, where: str) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} must be an object, not {value!r}")
        fields, faults = _typed(value, rules)
        if "path" not in value:
            faults.append("path is missing")
        if faults:
            raise ValueError(f"{where}: " + ", ".join(faults))
        return kind(**fields)

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"must be a list of objects with {', '.join(rules)}, not {value!r}")
        return tuple(one(item, f"[{index}]") for index, item in enumerate(value))

    return read


def _turns(value: Any) -> tuple[Turn, ...]:
    """Turns in rising order, the first of the first step; each goes back to a step before it."""
    if not isinstance(value, list) or not all(has_types(one, _TURN) for one in value):
        raise ValueError("must be a list of objects with step, rate and back_to")
    found = tuple(Turn(int(one["step"]), float(one["rate"]), int(one["back_to"])) for one in value)
    steps = [turn.step for turn in found]
    is_sound = all(0 <= turn.back_to <= turn.step and 0.0 < turn.rate <= 100.0 for turn in found)
    if found and (steps[0] != 0 or steps != sorted(set(steps)) or not is_sound):
        raise ValueError("must begin at step 0, rise, go back to earlier steps, and have rates above 0")
    return found


_TURN = {"step": int, "rate": (int, float), "back_to": int}
_WEIGHT = Option("weight", "float", 1.0, "", minimum=-100, maximum=100)
_PICTURE_RULES: Mapping[str, Rule] = {
    **{"path": _existing_file, "caption": _caption},
    **dict.fromkeys(("mask", "origin", "walk"), _file_or_none),
}
RULES: Mapping[str, Rule] = {
    **{name: option.accept for name, option in SETTINGS.items()},
    "checkpoint": _existing_file,
    "output": _path,
    "pictures": _list_of(Picture, _PICTURE_RULES),
    "work_dir": _path,
    "vae": _file_or_none,
    "base_loras": _list_of(WeightedLora, {"path": _existing_file, "weight": _WEIGHT.accept}),
    # As a setting of forms a list loses its empty lines; here the empty prompt is one that is meant.
    "other_prompts": _texts,
    "sample_prompts": _texts,
    "metadata": _entries,
    "turns": _turns,
}
"""One rule a field: the table is the list of names that a configuration may hold."""


def read_config(path: Path) -> TrainConfig:
    """Read a configuration file.

    Raises
    ------
    InputError
        The file is missing or is not a JSON object.
    FaultsError
        Some of its values cannot be used; names all of them.
    """
    found = read_json(path, advice="Mend that place and run it again.")
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no JSON object.", "Write the options between { and }.")
    return parse_config(found, subject=str(path))


def parse_config(found: Mapping[str, Any], *, subject: str = "configuration") -> TrainConfig:
    """Check a configuration's values and return it typed.

    Raises
    ------
    FaultsError
        Names every unknown, missing or unusable value.
    """
    if isinstance(found.get("optimizer_args"), Mapping):
        found = {**found, "optimizer_args": [f"{k}={v}" for k, v in found["optimizer_args"].items()]}
    values, faults = _typed(found, RULES)
    faults += [f"{name} is missing" for name in ("checkpoint", "output", "pictures") if not found.get(name)]
    faults += setting_faults(values)
    output: Path | None = values.get("output")
    if output is not None and output.suffix != ".safetensors":
        faults.append(f"output must end in .safetensors, not {output.name!r}")
    if output is not None and is_there(output, as_folder=True):
        faults.append(f"output is a folder: {output}")
    if values.get("opposite") and any(one.origin is None for one in values.get("pictures", ())):
        faults.append("opposite learns the change from an origin: give every picture one")
    if any(one.walk and not one.origin for one in values.get("pictures", ())):
        faults.append("a walk leads to an origin: give the picture that too")
    faults += missing_package(values["optimizer"]) if "optimizer" in values else []
    if faults or output is None:
        raise FaultsError(subject, faults, "Mend these and run it again.")
    values.setdefault("work_dir", output.with_name(f"{output.stem}.work"))
    config = TrainConfig(**values)
    if config.copied_psnr is not None and not config.own_unseen_prompts:
        fault = "unseen_prompts are all learned, as captions or other_prompts: give some that are not"
        raise FaultsError(subject, [fault], "Mend these and run it again.")
    return config


def _typed(found: Mapping[str, Any], rules: Mapping[str, Rule]) -> tuple[dict[str, Any], list[str]]:
    """The values that can be used, and a fault for each other one."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, value in found.items():
        if name not in rules:
            near = difflib.get_close_matches(name, rules, n=1, cutoff=0.6)
            faults.append(f"{name} is not an option" + (f" (did you mean {near[0]}?)" if near else ""))
            continue
        try:
            values[name] = rules[name](value)
        except ValueError as error:
            # Those of the table begin with the setting's name.
            faults.append(str(error) if str(error).startswith(name) else f"{name} {error}")
    return values, faults
