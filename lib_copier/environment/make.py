"""Makes an environment, repairs a half-made one, and leaves alone what is in order."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from lib_copier.environment import layer, torch_build
from lib_copier.environment.interpreter import Inside, ensure_interpreter
from lib_copier.environment.pins import TORCH, installed_versions, package_name, read_pins, unmet
from lib_copier.environment.pip import PipResult, run_pip
from lib_copier.environment.report import Report
from lib_copier.environment.stamp import LAYER, Stamp, is_current, read_stamp, write_stamp
from lib_copier.errors import ChildError
from lib_copier.files.lock import locked


@dataclass(frozen=True)
class Wanted:
    """An environment as it should be."""

    folder: Path
    groups: Mapping[str, tuple[str, ...]]
    """Requirement lines by group; without torch."""
    torch: str = "auto"
    """``auto`` (keep what is there), ``cpu`` or ``cuda``."""
    wheels: Path | None = None
    """A folder of wheels to look in before any index."""
    host_site_packages: tuple[Path, ...] = ()
    """Borrow torch, numpy and what is bound to them from here instead of installing them."""
    skipped: frozenset[str] = frozenset()
    """Packages of the groups that serve nothing on this machine."""
    log_path: Path | None = None
    """Takes all of pip's output; None: beside the folder."""
    source: str = ""
    """pip arguments that name the requirements files, for advice; empty: those of requirements/."""
    python: Path = field(default_factory=lambda: Path(sys.executable))
    """Makes the environment when there is none."""
    version: str = ""
    """Such as ``3.11``: an environment of another version is made anew. Empty: it stays."""

    @property
    def log(self) -> Path:
        return self.log_path or self.folder.with_name(self.folder.name + ".log")

    @property
    def lock(self) -> Path:
        return self.folder.with_name(self.folder.name + ".lock")


def make_environment(wanted: Wanted, report: Report) -> Stamp:
    """Bring the environment to the wanted state and stamp it; nothing that fits is installed again.

    Safe to start twice: the second waits, then finds the work done. Broken off anywhere, the next call
    goes on from there.

    Raises
    ------
    CopierError
        What is missing and how to provide it.
    """
    with locked(wanted.lock, lambda: report.say("Another start makes the environment; waiting for it …")):
        if is_current(wanted.folder, wanted.groups, wanted.torch, wanted.version):
            stamp = read_stamp(wanted.folder)
            assert stamp is not None
            return stamp
        inside = ensure_interpreter(wanted.folder, wanted.python, wanted.log, report, wanted.version)
        stamp = read_stamp(wanted.folder) or Stamp(inside.version)
        # From here until a group is whole again, the stamp must not call it so.
        kept = {
            name: lines for name, lines in stamp.groups.items() if wanted.groups.get(name, lines) == lines
        }
        stamp = stamp._replace(python=inside.version, groups=kept)
        write_stamp(wanted.folder, stamp)
        if wanted.host_site_packages:
            return _fill_layer(wanted, inside, stamp, report)
        layer.stop_borrowing(inside.site_packages)
        stamp = _ensure_torch(wanted, inside, stamp, report)
        constraints = (*read_pins(TORCH), *_lines_of(wanted))
        return _fill(wanted, inside, stamp, wanted.groups, constraints, report)


def _ensure_torch(wanted: Wanted, inside: Inside, stamp: Stamp, report: Report) -> Stamp:
    """Install the build of torch that fits, unless one is there that may stay."""
    requirement = read_pins(TORCH)[0]
    installed = installed_versions([inside.site_packages])
    given = os.environ.get(torch_build.GIVEN, "")
    fits = "torch" in installed if given else not unmet([requirement], installed)
    if fits and wanted.torch in ("auto", stamp.torch):
        return _stamp_torch(wanted, stamp, stamp.torch or _kind_of(installed["torch"]))
    build = torch_build.choose_torch(requirement, wanted.torch, torch_build.look_at_machine(), given)
    size = (
        f"; the environment takes about {size} GB" if (size := torch_build.GIGABYTES.get(build.kind)) else ""
    )
    report.say(f"torch: the {build.kind} build ({build.reason}){size}")
    if "torch" in installed:
        run_pip(inside.python, ("uninstall", "--yes", "torch"), log=wanted.log, report=report)
    result = PipResult(1, ())
    for attempt in build.attempts:
        arguments = ("install", *_common(wanted), *attempt)
        result = run_pip(inside.python, arguments, log=wanted.log, report=report)
        if not result.has_failed:
            got = installed_versions([inside.site_packages]).get("torch", "?")
            report.say(f"torch {got} is in place")
            return _stamp_torch(wanted, stamp, build.kind)
    host = layer.borrowable(layer.running_host_paths())
    borrow = f"Or take torch {host.versions['torch']} of this Python: add --host-torch. " if host else ""
    others = unmet(_lines_of(wanted), installed)
    more = f"; {len(others)} more packages are missing too ({', '.join(others)})" if others else ""
    what = f"No {build.kind} build of {requirement} could be installed{more}"
    raise _failure(what, result, wanted, build.kind, borrow + build.advice)


def _kind_of(version: str) -> str:
    """Adopted torch: its local version part tells the build where it has one."""
    if version.endswith("+cpu"):
        return "cpu"
    return "mps" if sys.platform == "darwin" else "cuda"


def _stamp_torch(wanted: Wanted, stamp: Stamp, kind: str) -> Stamp:
    stamp = stamp._replace(torch=kind, host="")
    write_stamp(wanted.folder, stamp)
    return stamp


def _fill_layer(wanted: Wanted, inside: Inside, stamp: Stamp, report: Report) -> Stamp:
    host = layer.find_host(wanted.host_site_packages)
    report.say(f"torch: {host.versions['torch']} of {host.paths[0]} is used, none is downloaded")
    layer.borrow(host, inside.site_packages)
    stamp = stamp._replace(torch="host", host=str(host.torch_metadata))
    adapted = {name: layer.adapt(lines, host) for name, lines in wanted.groups.items()}
    return _fill(wanted, inside, stamp, adapted, host.constraints, report)


def _fill(
    wanted: Wanted,
    inside: Inside,
    stamp: Stamp,
    groups: Mapping[str, tuple[str, ...]],
    constraints: Sequence[str],
    report: Report,
) -> Stamp:
    """Install the groups that the stamp does not vouch for; `groups` is what to ask pip for."""
    missing = [name for name in wanted.groups if name not in stamp.groups]
    asked = [line for name in missing for line in groups[name]]
    lines = [line for line in asked if package_name(line) not in wanted.skipped]
    if lines:
        report.say(f"Installing {', '.join(missing)}: {len(lines)} packages and what they need …")
        with tempfile.TemporaryDirectory() as scratch:
            listed, bounds = Path(scratch) / "requirements.txt", Path(scratch) / "constraints.txt"
            listed.write_text("\n".join(lines), encoding="utf-8")
            bounds.write_text("\n".join(_without_extras(line) for line in constraints), encoding="utf-8")
            torch = () if wanted.host_site_packages or not stamp.torch else _torch_again(inside)
            arguments = ("install", *_common(wanted), "-r", str(listed), "-c", str(bounds), *torch)
            result = run_pip(inside.python, arguments, log=wanted.log, report=report)
        if result.has_failed:
            absent = unmet(lines, installed_versions([inside.site_packages, *wanted.host_site_packages]))
            what = f"{len(absent)} packages are missing ({', '.join(absent)})"
            raise _failure(what, result, wanted, stamp.torch)
    stamp = stamp._replace(groups={**stamp.groups, **wanted.groups})
    if wanted.host_site_packages:
        host, needed = layer.find_host(wanted.host_site_packages), chain.from_iterable(stamp.groups.values())
        layer.show_needed(host, inside.site_packages, needed)
        stamp = stamp._replace(layer=LAYER)
    write_stamp(wanted.folder, stamp)
    report.say(f"The environment is ready ({wanted.folder}).")
    return stamp


def _torch_again(inside: Inside) -> tuple[str, ...]:
    """Name the torch that is there: it came without its dependencies, which pip now adds."""
    version = installed_versions([inside.site_packages]).get("torch")
    return (f"torch=={version}",) if version else ()


def _without_extras(requirement: str) -> str:
    """Constraints may not name extras."""
    name, bracket, rest = requirement.partition("[")
    return name + rest.partition("]")[2] if bracket else requirement


def _common(wanted: Wanted) -> tuple[str, ...]:
    links = ("--find-links", str(wanted.wheels)) if wanted.wheels else ()
    return ("--retries", "2", "--prefer-binary", *links)


def _lines_of(wanted: Wanted) -> list[str]:
    return [line for lines in wanted.groups.values() for line in lines]


def _failure(what: str, result: PipResult, wanted: Wanted, kind: str, advice: str = "") -> ChildError:
    """One error: what is missing, why, and the ways to provide it."""
    commands = ", then ".join(f"`{line}`" for line in downloads(wanted, kind))
    ways = (
        "Connect, or name a proxy in HTTPS_PROXY, or bring the packages: on a connected machine "
        f"{commands}; then here add `--wheels WHEELS` (or set PIP_FIND_LINKS=WHEELS)."
    )
    return ChildError(
        f"{what}: {result.reason}.",
        f"{ways} {advice} The same command then goes on where it stopped. Log: {wanted.log}.".replace(
            "  ", " "
        ),
        returncode=result.returncode,
        last_lines=result.lines[-10:],
    )


def downloads(wanted: Wanted, kind: str = "") -> tuple[str, ...]:
    """The commands that fill a folder WHEELS for a machine without network, to be run in this order."""
    files = wanted.source or " ".join(f"-r requirements/{name}.txt" for name in wanted.groups)
    download = "python -m pip download -d WHEELS"
    if wanted.host_site_packages:
        host = layer.find_host(wanted.host_site_packages)
        # Releases that suit the host's numpy stand in no file.
        lines = _lines_of(wanted)
        others = set(layer.adapt(lines, host)) - set(lines)
        return (f"{download} {files}", *(f"{download} --no-deps {line}" for line in sorted(others)))
    if kind != "cpu" or sys.platform != "linux":
        return (f"{download} -r requirements/{TORCH}.txt {files}",)
    # Fetched first and then looked up in the folder: asked for together, pip would take the CUDA build.
    torch = f"{read_pins(TORCH)[0]}+cpu"
    first = f"{download} --no-deps {torch} --index-url {torch_build.PYTORCH_INDEX}/cpu"
    return first, f"{download} -f WHEELS {torch} {files}"
