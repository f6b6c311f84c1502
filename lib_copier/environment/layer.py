"""Lays an environment over another Python's torch, so that gigabytes are not downloaded twice."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple

from lib_copier.environment import shown
from lib_copier.environment.pins import package_name
from lib_copier.errors import InputError
from lib_copier.files.disk import write_text

PATH_FILE = "borrowed_torch.pth"
_SHOWN_MODULE = "borrowed_torch_shown"
_BOUND = re.compile(
    r"^(torch|torchvision|torchaudio|xformers|numpy|triton|triton-windows|nvidia-.*|intel-.*)$"
)
"""Built against each other: none of them may be replaced while another is borrowed."""
_NO_MODULE = re.compile(r"^(\.\.|__pycache__)|\.(dist-info|egg-info|data|libs|pth)$")
_EXTRA = re.compile(r";.*\bextra\b")
"""In a requirement that only those have who ask for more than the package itself."""
_FOR_NUMPY_1 = {"opencv-python-headless": "==4.11.0.86"}
"""Releases that take the place of pins that need numpy 2, where the host's numpy is older."""


_OLDEST_TORCH = "2.1"
_OTHERWISE = "Leave --host-torch out, or start with a Python that has a newer torch."


class Host(NamedTuple):
    """Another Python's packages that are borrowed."""

    paths: tuple[Path, ...]
    """Folders that hold them, in the host's order."""
    versions: dict[str, str]
    """The versions of torch and of what is bound to it."""
    torch_metadata: Path
    """Named by version: it disappears when the host gets another torch."""

    @property
    def constraints(self) -> tuple[str, ...]:
        """Lines for pip's constraints file."""
        return tuple(f"{name}=={version}" for name, version in sorted(self.versions.items()))


def find_host(paths: Iterable[Path]) -> Host:
    """Read what can be borrowed from these site-packages folders.

    Raises
    ------
    InputError
        No torch there, or one that is too old.
    """
    folders = tuple(Path(path) for path in paths)
    found: dict[str, Distribution] = {}
    for distribution in distributions(path=[str(folder) for folder in folders]):
        name = distribution.metadata["Name"]
        if name and _BOUND.match(package_name(name)):
            found.setdefault(package_name(name), distribution)
    where = ", ".join(map(str, folders)) or "the given folders"
    if "torch" not in found:
        raise InputError(f"No torch in {where}.", _OTHERWISE)
    versions = {name: distribution.version for name, distribution in found.items()}
    if not _is_new_enough(versions["torch"]):
        raise InputError(f"torch {versions['torch']} in {where} is older than {_OLDEST_TORCH}.", _OTHERWISE)
    metadata = Path(str(getattr(found["torch"], "_path", folders[0])))
    return Host(folders, versions, metadata)


def _is_new_enough(torch: str) -> bool:
    found = re.match(r"(\d+)\.(\d+)", torch)
    return found is not None and tuple(map(int, found.groups())) >= tuple(map(int, _OLDEST_TORCH.split(".")))


def borrowable(paths: Iterable[Path]) -> Host | None:
    """What can be borrowed from these site-packages folders; None where their torch will not do."""
    try:
        return find_host(paths)
    except InputError:
        return None


def running_host_paths() -> tuple[Path, ...]:
    """Where this Python finds torch and numpy, without importing them."""
    paths: list[Path] = []
    for name in ("torch", "numpy"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).parents[1]
            if folder not in paths:
                paths.append(folder)
    return tuple(paths)


def borrow(host: Host, site_packages: Path) -> None:
    """Make the host's folders visible at the end of the environment's path: our packages come first."""
    lines = "".join(f"{path}\n" for path in host.paths)
    write_text(site_packages / PATH_FILE, lines)


def show_needed(host: Host, site_packages: Path, requirements: Iterable[str]) -> None:
    """Hide from the environment what stands in the host's folders beside what the requirements need.

    Libraries look for others that they can use, and stop where one of those is too old for them.
    """
    here: dict[str, Distribution] = {}
    for distribution in distributions(path=[str(site_packages), *map(str, host.paths)]):
        here.setdefault(package_name(str(distribution.metadata["Name"])), distribution)
    lines = list(requirements)
    with_extras = {package_name(line) for line in lines if "[" in line}
    open_names, needed = [*map(package_name, lines), *host.versions], set[str]()
    while open_names:
        name = open_names.pop()
        if name in needed or name not in here:
            continue
        needed.add(name)
        wanted = here[name].requires or ()
        open_names += [package_name(one) for one in wanted if name in with_extras or not _EXTRA.search(one)]
    modules = sorted({module for name in needed for module in _modules_of(here[name])})
    folders = [str(path) for path in host.paths]
    write_text(site_packages / f"{_SHOWN_MODULE}.py", Path(shown.__file__).read_text(encoding="utf-8"))
    # Escaped, since older Pythons read such files in the machine's own encoding.
    call = f"{_SHOWN_MODULE}.show(frozenset({ascii(folders)}), frozenset({ascii(modules)}))"
    write_text(site_packages / f"{_SHOWN_MODULE}.pth", f"import {_SHOWN_MODULE}; {call}\n")


def _modules_of(distribution: Distribution) -> set[str]:
    """The names under which a distribution is imported: as it declares them, and as its files lie."""
    declared = (distribution.read_text("top_level.txt") or "").split()
    files = [file.parts for file in distribution.files or ()]
    return {*declared, *(parts[0].partition(".")[0] for parts in files if not _NO_MODULE.search(parts[0]))}


def borrowed_paths(environment: Path) -> tuple[Path, ...]:
    """What an environment borrows from; empty where it borrows nothing or the torch there is gone."""
    for path_file in (*environment.glob(f"lib/*/site-packages/{PATH_FILE}"),
                      *environment.glob(f"Lib/site-packages/{PATH_FILE}")):  # fmt: skip
        paths = tuple(Path(line) for line in path_file.read_text(encoding="utf-8").splitlines() if line)
        if any(next(path.glob("torch-*.dist-info"), None) for path in paths):
            return paths
    return ()


def stop_borrowing(site_packages: Path) -> None:
    """Undo `borrow`."""
    for name in (PATH_FILE, f"{_SHOWN_MODULE}.pth", f"{_SHOWN_MODULE}.py"):
        (site_packages / name).unlink(missing_ok=True)


def adapt(requirements: Sequence[str], host: Host) -> tuple[str, ...]:
    """The requirements without what is borrowed, and with releases that suit the host's numpy."""
    numpy = host.versions.get("numpy", "2")
    is_old = int(numpy.partition(".")[0]) < 2
    adapted = []
    for line in requirements:
        name = package_name(line)
        if name in host.versions:
            continue
        adapted.append(name + _FOR_NUMPY_1[name] if is_old and name in _FOR_NUMPY_1 else line)
    return tuple(adapted)
