"""The JSON file that tells a child process what to do: both children of this kind read it the same way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_copier.errors import FaultsError, InputError
from lib_copier.files.disk import read_json

Job = Mapping[str, Any]
Entries = Mapping[str, type]
"""The kind of each entry of a job; a name that ends in ``?`` may be left out. A float may be whole."""

_WORDS = {str: "a text", list: "a list", dict: "an object", float: "a number", bool: "true or false"}


def read_job(path: Path, kinds: Mapping[str, Entries]) -> dict[str, Any]:
    """The job file's object; what ``job`` names must be one of `kinds`.

    Raises
    ------
    InputError
        Where it is no JSON or names no such job.
    FaultsError
        Everything that is missing or of the wrong kind.
    """
    job = read_json(path)
    name = job.get("job") if isinstance(job, dict) else None
    if not isinstance(name, str) or name not in kinds:
        raise InputError(f"The job file {path} names none of the jobs {', '.join(kinds)}.", 'Set "job".')
    faults = []
    for entry, kind in kinds[name].items():
        entry, is_optional = entry.rstrip("?"), entry.endswith("?")
        if entry not in job:
            faults += [] if is_optional else [f"{entry!r} is missing"]
        elif not (is_optional and job[entry] is None) and not _is(job[entry], kind):
            faults.append(f"{entry!r} must be {_WORDS[kind]}")
    if faults:
        raise FaultsError(f"The job file {path}", faults)
    found: dict[str, Any] = job
    return found


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, (int, float) if kind is float else kind) and (
        kind is bool or not isinstance(value, bool)
    )
