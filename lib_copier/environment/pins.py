"""The packages that each group of commands needs, read from requirements/*.txt."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TORCH = "torch"
"""The group that holds torch alone: which build of it fits is a question of the machine."""

_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:==\s*([^\s;,]+))?")


def read_pins(group: str) -> tuple[str, ...]:
    """The requirement lines of requirements/GROUP.txt, without comments."""
    return requirement_lines((ROOT / "requirements" / f"{group}.txt").read_text(encoding="utf-8"))


def requirement_lines(text: str) -> tuple[str, ...]:
    """The lines of a requirements file that name a package; comments and pip options are left out."""
    bare = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in bare if line and not line.startswith("-"))


def package_name(requirement: str) -> str:
    """The distribution's name in a requirement, in the spelling that all indexes agree on."""
    found = _REQUIREMENT.match(requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else requirement


def pinned_version(requirement: str) -> str | None:
    """The version after ``==``, or None."""
    found = _REQUIREMENT.match(requirement)
    return found[2] if found else None


def installed_versions(site_packages: Iterable[Path]) -> dict[str, str]:
    """Name and version of every distribution in these folders; the first folder wins."""
    from importlib.metadata import distributions

    found: dict[str, str] = {}
    for distribution in distributions(path=[str(folder) for folder in site_packages]):
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(package_name(name), distribution.version)
    return found


def unmet(requirements: Iterable[str], installed: dict[str, str]) -> list[str]:
    """The requirements that the installed versions do not fulfil; only ``==`` is compared."""
    return [line for line in requirements if not _is_met(line, installed.get(package_name(line)))]


def _is_met(requirement: str, version: str | None) -> bool:
    if version is None:
        return False
    wanted = pinned_version(requirement)
    # A local part ("+cpu") names a build of the same release.
    return wanted is None or wanted == version or wanted == version.partition("+")[0]
