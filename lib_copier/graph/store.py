"""The artifacts of a project: found by key, made under another name, verified, flushed, then moved."""

from __future__ import annotations

import contextlib
import shutil
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from lib_copier.files.disk import flush_file, found_object, has_types, move, write_json
from lib_copier.graph.digest import FileDigests, sha256_of
from lib_copier.graph.step import Output, Step, is_inside
from lib_copier.graph.verify import output_fault

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Artifact:
    """A committed result: its folder and what its manifest tells."""

    key: str
    folder: Path
    manifest: Mapping[str, Any]

    def file(self, name: str) -> Path:
        """Where one of its outputs lies."""
        return self.folder / name

    def digest(self, name: str) -> str:
        """The SHA-256 of one of its outputs."""
        return str(self.manifest["files"][name]["sha256"])

    @property
    def result(self) -> Mapping[str, Any]:
        """What the step reported when it was done."""
        return self.manifest.get("result") or {}


class Store:
    """Artifacts under ``artifacts/KEY``, unfinished work under ``work/KEY``.

    Artifacts are never changed. A replacement (the same key made again) keeps the old one aside until
    the new one stands in its place.
    """

    def __init__(self, project: Path) -> None:
        self.folder = project / "artifacts"
        self.work = project / "work"
        self.digests = FileDigests(project / "digests.json", project)

    def inspect(self, key: str) -> tuple[Artifact | None, str]:
        """The artifact of that key, or None and, where there is a broken one, what is wrong with it."""
        folder = self.folder / key
        if not folder.is_dir():
            return None, ""
        manifest = found_object(folder / MANIFEST)
        if not _is_manifest(manifest):
            return None, "its record is missing or unreadable"
        for name, entry in manifest["files"].items():
            path = folder / name
            try:
                # Not followed: a link would give out a file from elsewhere.
                state = path.lstat()
                is_whole = stat.S_ISREG(state.st_mode) and state.st_size == entry["size"]
                if not is_whole or self.digests.sha256(path) != entry["sha256"]:
                    return None, f"{name} is not as it was written"
            except OSError:
                return None, f"{name} is missing"
        return Artifact(key, folder, manifest), ""

    def manifests(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Key and manifest of every artifact, the newest first; files are not looked at."""
        found: list[tuple[str, Mapping[str, Any]]] = []
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            manifest = {} if folder.name.startswith(".") else found_object(folder / MANIFEST)
            if _is_manifest(manifest):
                found.append((folder.name, manifest))
        return sorted(found, key=lambda item: -item[1]["made_at"])

    def begin(self, key: str) -> tuple[Path, Path]:
        """An empty folder for the outputs, and the scratch folder with what earlier attempts left."""
        home = self.work / key
        out, scratch = home / "out", home / "scratch"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        scratch.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (home / "failure.json").unlink()
        return out, scratch

    def note_failure(self, key: str, failure: Mapping[str, Any]) -> None:
        """Keep why the last attempt at this key failed."""
        write_json(self.work / key / "failure.json", dict(failure))

    def failure(self, key: str) -> Mapping[str, Any] | None:
        """Why the last attempt at this key failed; None where it did not."""
        found = found_object(self.work / key / "failure.json")
        return found if has_types(found, {"what": str, "advice": str, "last_lines": list}) else None

    def commit(self, key: str, step: Step, facts: Mapping[str, Any]) -> Artifact:
        """Verify the outputs in ``work/KEY/out`` and make them the artifact of that key.

        `facts` joins the manifest: parameters, inputs, command, device, seconds, result.

        Raises
        ------
        ValueError
            Which output cannot be used, and why.
        """
        out = self.work / key / "out"
        faults = [f"{o.name} {fault}" for o in step.outputs if (fault := output_fault(out / o.name, o.kind))]
        if faults:
            raise ValueError("; ".join(faults))
        names = _output_names(out, step.outputs)
        if links := [name for name in names if (out / name).is_symlink()]:
            raise ValueError(f"{links[0]} is a link")
        files: dict[str, dict[str, Any]] = {}
        for name in names:
            flush_file(out / name)
            files[name] = {"sha256": sha256_of(out / name), "size": (out / name).stat().st_size}
        manifest = {"step": step.id, "kind": step.kind, "files": files, "made_at": time.time(), **facts}
        write_json(out / MANIFEST, manifest)
        self._move_in(out, key)
        target = self.folder / key
        self.digests.remember({target / name: entry["sha256"] for name, entry in files.items()})
        self.digests.save(may_wait=True)
        shutil.rmtree(self.work / key, ignore_errors=True)
        return Artifact(key, target, manifest)

    def _move_in(self, out: Path, key: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        target, aside = self.folder / key, self.folder / f".old-{key}"
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
            move(target, aside)
        move(out, target)
        shutil.rmtree(aside, ignore_errors=True)

    def recover(self) -> None:
        """Settle what a crash left between two moves; call it with the lock held.

        An old artifact whose replacement never arrived is put back; work that was committed is cleared.
        """
        for aside in self.folder.glob(".old-*") if self.folder.is_dir() else ():
            target = self.folder / aside.name.removeprefix(".old-")
            if target.exists():
                shutil.rmtree(aside, ignore_errors=True)
            else:
                move(aside, target)
        for home in self.work.iterdir() if self.work.is_dir() else ():
            if (self.folder / home.name).exists():
                shutil.rmtree(home, ignore_errors=True)

    def unused(self, used_keys: Iterable[str]) -> list[Path]:
        """Folders of artifacts and unfinished work that none of these keys names."""
        used = set(used_keys)
        homes = [home for home in (self.folder, self.work) if home.is_dir()]
        return sorted(entry for home in homes for entry in home.iterdir() if entry.name not in used)


def _output_names(out: Path, declared: Iterable[Output]) -> list[str]:
    """The declared outputs first, then whatever else the step left (extra pictures, its report)."""
    first = [output.name for output in declared]
    every = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    return first + [name for name in every if name not in first and name != MANIFEST]


_MANIFEST = {"step": str, "files": dict, "made_at": (int, float), "seconds": (int, float, NoneType)}
_MANIFEST |= {
    "command": (str, NoneType),
    "device": (str, NoneType),
    "result": (dict, NoneType),
    "described": (dict, NoneType),
}


def _is_manifest(found: Any) -> bool:
    """Whether a record from disk can be believed: its types, and no file of it outside its folder."""
    if not has_types(found, _MANIFEST):
        return False
    described = found.get("described") or {"params": {}, "inputs": []}
    return (
        all(is_inside(name) for name in found["files"])
        and all(has_types(entry, {"size": int, "sha256": str}) for entry in found["files"].values())
        and has_types(described, {"params": dict, "inputs": list})
        and all(
            isinstance(one, list) and len(one) == 3 and isinstance(one[1], str) for one in described["inputs"]
        )
    )
