"""The report: one page with every picture in it, and the same numbers as JSON.

The job names folders that other jobs wrote:

``output``      folder of ``report.html`` and ``report.json``
``title``       heading of the page (optional); ``lead`` a sentence below it (optional)
``origin``      {"picture": PATH, "prompt": TEXT, "seed": INT}; the last two optional
``copier``      {"check": FOLDER of a copier-check, "seconds": FLOAT, "steps": INT, "below": PHRASES}; None
                where there is none
``edits``       [{"method": "A"|"B", "name", "label", "description", "edited": PATH, "heat": PATH,
                "survival": OBJECT, "sweep": FOLDER, "control": FOLDER, "lora": PATH, "below": PHRASES,
                "score": TEXT, "calibration": OBJECT}, …]; all but method, name and sweep optional;
                ``below``: what it lacks of its goals; ``score``: one word for its numbers
``seconds``     {"total": FLOAT, "by_step": {NAME: FLOAT}}
``checkpoint``  {"sha256": TEXT, "name": TEXT}
``notes``       sentences: what came out otherwise than expected, what was tried
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_copier.errors import FaultsError
from lib_copier.files.disk import found_object

NUMBERS = (
    "rank_correlation",
    "strength",
    "leak",
    "sign",
    "weights",
    "effect",
    "direct_effect",
    "strength_vae",
    "leak_by_weight",
    "range",
    "range_reason",
    "attribute",
    "fidelity",
    "fidelity_worst",
    "fidelity_lab",
    "fidelity_by_weight",
    "rest",
    "rest_worst",
    "rest_lab",
    "rest_by_weight",
    "structure",
    "floors",
)
"""What report.json takes over from a sweep; outsiders read the first six."""


@dataclass(frozen=True)
class Sweep:
    """A finished sweep: its folder and its result."""

    folder: Path
    result: Mapping[str, Any]

    def path(self, name: str) -> Path:
        """A picture of the sweep by the name its result gives."""
        return self.folder / name

    @property
    def order(self) -> list[int]:
        """Its unseen pictures by number, those with the largest side effects first."""
        found = self.result.get("worst_first")
        return list(range(len(self.result["pictures"]))) if found is None else list(found)


@dataclass(frozen=True)
class EditReport:
    """One edit by one method, as the page shows it."""

    method: str
    name: str
    label: str
    description: str
    sweep: Sweep
    control: Sweep | None
    edited: Path | None
    heat: Path | None
    survival: Mapping[str, Any] | None
    lora: str
    below: tuple[str, ...]
    score: str | None
    calibration: Mapping[str, Any] | None


@dataclass(frozen=True)
class Report:
    """Everything the page shows."""

    title: str
    lead: str
    origin: Mapping[str, Any]
    copier: Mapping[str, Any] | None
    check: Sweep | None
    edits: tuple[EditReport, ...]
    seconds: Mapping[str, Any]
    checkpoint: Mapping[str, Any]
    notes: tuple[str, ...]


def read_report(job: Mapping[str, Any]) -> Report:
    """Read the folders that the job names; raises FaultsError with everything that is missing."""
    faults: list[str] = []
    output = Path(job["output"])
    copier = job.get("copier") or None
    origin = dict(job.get("origin") or {})
    if origin.get("picture"):
        origin["picture"] = _picture(origin["picture"], faults)
    edits = tuple(_edit(entry, output, faults) for entry in job["edits"])
    check = _result(copier["check"], faults) if copier else None
    if faults:
        raise FaultsError("The report", faults, "Run the steps that make them first.")
    return Report(
        title=str(job.get("title") or "Copier LoRA report"),
        lead=str(job.get("lead") or ""),
        origin=origin,
        copier=copier,
        check=check,
        edits=edits,
        seconds=job.get("seconds") or {},
        checkpoint=job.get("checkpoint") or {},
        notes=tuple(str(note) for note in job.get("notes") or ()),
    )


def report_numbers(report: Report) -> dict[str, Any]:
    """The object of ``report.json``."""
    methods: dict[str, dict[str, Any]] = {}
    for edit in report.edits:
        found = {name: edit.sweep.result.get(name) for name in NUMBERS}
        found["control_leak"] = edit.control.result["leak"] if edit.control else None
        found["control_rank_correlation"] = edit.control.result["rank_correlation"] if edit.control else None
        found["lora"] = edit.lora
        found["below"], found["score"] = list(edit.below), edit.score
        found["calibration"] = _calibration(edit.calibration)
        if edit.survival:
            found["vae_survival"] = edit.survival.get("share")
        methods.setdefault(edit.method, {})[edit.name] = found
    copier = None
    if report.copier and report.check:
        copier = {name: report.check.result[name] for name in ("psnr_db", "ssim")}
        copier |= {name: report.copier.get(name) for name in ("seconds", "steps")}
        copier["below"] = list(report.copier.get("below") or ())
    pairs = [len(edit.sweep.result["prompts"]) for edit in report.edits]
    return {
        "copier": copier,
        "methods": methods,
        "seconds": {"total": report.seconds.get("total"), "by_step": report.seconds.get("by_step") or {}},
        "checkpoint": dict(report.checkpoint),
        "pairs": min(pairs, default=0),
        "notes": list(report.notes),
    }


def _calibration(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Gain, bound, strength and leak of a LoRA whose gain was measured."""
    return {name: found[name] for name in ("gain", "bound", "strength", "leak")} if found else None


def _edit(entry: Mapping[str, Any], output: Path, faults: list[str]) -> EditReport:
    lora = str(entry.get("lora") or "")
    if lora and Path(lora).is_absolute():
        try:
            lora = Path(os.path.relpath(lora, output)).as_posix()
        except ValueError:
            # On Windows there is no relative path to another drive.
            lora = Path(lora).name
    return EditReport(
        method=str(entry["method"]),
        name=str(entry["name"]),
        label=str(entry.get("label") or entry["name"]),
        description=str(entry.get("description") or ""),
        sweep=_result(entry["sweep"], faults),
        control=_result(entry["control"], faults) if entry.get("control") else None,
        edited=_picture(entry["edited"], faults) if entry.get("edited") else None,
        heat=_picture(entry["heat"], faults) if entry.get("heat") else None,
        survival=entry.get("survival"),
        lora=lora,
        calibration=entry.get("calibration"),
        below=tuple(str(phrase) for phrase in entry.get("below") or ()),
        score=str(entry["score"]) if entry.get("score") else None,
    )


def _result(folder: str, faults: list[str]) -> Sweep:
    """A finished job's folder; where something is missing, a fault."""
    path = Path(folder)
    result = found_object(path / "result.json")
    if not result:
        faults.append(f"{path} holds no readable result.json")
        return Sweep(path, {})
    rows = result.get("pictures") or []
    names = [one for row in rows for one in (row if isinstance(row, list) else [row["path"]])]
    missing = [name for name in (*names, *result.get("direct", ())) if not (path / name).is_file()]
    if missing:
        faults.append(f"{path} lacks {len(missing)} of its pictures ({missing[0]} …)")
    return Sweep(path, result)


def _picture(path: str, faults: list[str]) -> Path:
    if not Path(path).is_file():
        faults.append(f"the picture {path} is not there")
    return Path(path)
