"""What a step's result depends on beside its inputs: our code and the packages; a node must have the same."""

from __future__ import annotations

import hashlib
import platform
import socket
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from lib_copier.engines.choose import engine_version
from lib_copier.engines.locate import root
from lib_copier.environment.pins import TORCH, package_name, read_pins
from lib_copier.environment.stamp import minor
from lib_copier.errors import CopierError, InputError

_GROUPS = (TORCH, "base")


def facts() -> dict[str, Any]:
    """Of the machine and environment that this process runs in."""
    return {
        "host": socket.gethostname(),
        "python": minor(platform.python_version()),
        "code": code_digest(root() / "lib_copier"),
        "packages": _packages(),
    }


def require_same(here: Mapping[str, Any], there: Mapping[str, Any], node: str) -> None:
    """See that a node makes what would be made here.

    Raises
    ------
    InputError
        What differs there, in one line.
    """
    if here["code"] != there["code"]:
        raise InputError(
            f"Node {node} has another version of Copier LoRA than this machine.",
            "Bring both to the same commit, and start the node again: `python run.py cluster join …`.",
        )
    mine, its = ({"python": one["python"], **one["packages"]} for one in (here, there))
    found = [
        f"{name} {its.get(name) or 'missing'} (here {mine.get(name) or 'missing'})"
        for name in sorted({*mine, *its})
        if mine.get(name) != its.get(name)
    ]
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise InputError(
            f"Node {node} has other packages: {', '.join(found[:3])}{more}.",
            "Run `python run.py setup` there with the same Python, and start the node again.",
        )


def version_of(engine: str) -> str:
    """The version of an engine on this machine; empty where it is not to be had."""
    try:
        return engine_version(engine) if engine else ""
    except CopierError:
        return ""


@lru_cache(maxsize=1)
def code_digest(package: Path) -> str:
    """SHA-256 over the sources of our package."""
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


@lru_cache(maxsize=1)
def _packages() -> dict[str, str]:
    """The pinned packages as they are installed; the build of torch (``+cpu``) is the machine's matter."""
    wanted = {package_name(line) for group in _GROUPS for line in read_pins(group)}
    found: dict[str, str] = {}
    for distribution in distributions():
        name = package_name(distribution.metadata["Name"] or "")
        if name in wanted:
            found.setdefault(name, distribution.version.partition("+")[0])
    return found
