"""The demo's report: what its projects made, handed to `lib_copier.measure` in the words of its job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lib_copier.engines.embedded import job_command
from lib_copier.engines.listening import Watch
from lib_copier.engines.workers import Workers
from lib_copier.graph.status import StepStatus
from lib_copier.graph.step import plain
from lib_copier.recipe.model import Edit
from lib_copier.settings.goals import SliderGoal
from lib_copier.steps.project import Project

DESCRIPTIONS = {
    "outline": "Thicker, darker lines.",
    "flat": "Flat colours instead of shading.",
    "contrast": "More contrast.",
    "posterize": "Fewer tones.",
    "jpeg": "The blocks and ringing of a strongly compressed JPEG.",
}


def write_report(projects: Mapping[str, Project], out: Path, workers: Workers) -> None:
    """Write ``report.html`` and ``report.json`` into `out`; every step must be done."""
    statuses = {
        method: {status.id: status for status in project.status()} for method, project in projects.items()
    }
    job = {
        "job": "report",
        "output": str(out),
        "title": "Copier LoRA: the demo",
        "lead": "Sliders learned from one picture and its retouched copy, tried on prompts never seen.",
        **_origin_and_copier(projects["A"], statuses["A"]),
        "edits": [
            _edit(method, project, edit, statuses[method], out)
            for method, project in projects.items()
            for edit in project.recipe.edits
        ],
        "seconds": _seconds(statuses),
    }
    workers.run(job_command("measure", job, out / "report-job.json"), Watch(out / "report.log"))


def _origin_and_copier(project: Project, found: Mapping[str, StepStatus]) -> dict[str, Any]:
    (origin,) = project.recipe.origins
    copier = found[f"copier/{origin.name}"].artifact
    assert copier is not None
    checkpoint = project.folder / project.recipe.checkpoint
    return {
        "origin": {
            "picture": str(_path(found, f"origin/{origin.name}")),
            "prompt": origin.get("prompt"),
            "seed": origin.get("seed"),
        },
        "copier": {
            "check": str(_path(found, f"check/{origin.name}").parent),
            "seconds": copier.manifest["seconds"],
            "steps": copier.result.get("steps"),
            "below": _below(found, f"check/{origin.name}"),
        },
        "checkpoint": {"sha256": project.store.digests.sha256(checkpoint), "name": checkpoint.name},
    }


def _edit(
    method: str, project: Project, edit: Edit, found: Mapping[str, StepStatus], out: Path
) -> dict[str, Any]:
    origin = project.recipe.origins[0].name
    edited = _path(found, f"edit/{origin}/{edit.name}")
    entry: dict[str, Any] = {
        "method": method,
        "name": edit.name,
        "label": edit.name.capitalize(),
        "description": DESCRIPTIONS.get(edit.name, ""),
        "edited": str(edited),
        "heat": str(edited.with_name("heat.png")),
        "sweep": str(_path(found, f"sweep/{edit.name}").parent),
        "lora": str(_path(found, f"publish/{edit.name}")),
        "below": _below(found, f"survival/{origin}/{edit.name}", f"sweep/{edit.name}"),
    }
    swept = found[f"sweep/{edit.name}"]
    if isinstance(swept.step.goal, SliderGoal) and swept.artifact is not None:
        entry["score"] = swept.step.goal.score(swept.artifact.result)
    survival = found.get(f"survival/{origin}/{edit.name}")
    if survival is not None and survival.artifact is not None:
        entry["survival"] = plain(survival.artifact.result)
    calibrated = found[f"calibrate/{edit.name}"].artifact
    if calibrated is not None and "bound" in calibrated.result:
        entry["calibration"] = plain(calibrated.result)
    if f"control/{edit.name}" in found:
        entry["control"] = str(_path(found, f"control/{edit.name}").parent)
    return entry


def _below(found: Mapping[str, StepStatus], *step_ids: str) -> list[str]:
    """What these steps lack of their goals, though that was accepted."""
    return [lacks for step_id in step_ids if step_id in found for lacks in found[step_id].shortfalls]


def _path(found: Mapping[str, StepStatus], step_id: str) -> Path:
    """The main file of a step that is done."""
    status = found[step_id]
    assert status.artifact is not None, f"{step_id} is not done"
    return status.artifact.file(status.step.outputs[0].name)


def _seconds(statuses: Mapping[str, Mapping[str, StepStatus]]) -> dict[str, Any]:
    """Seconds of each step, once where methods share it; names of method B's own steps tell so.

    ``total`` is wall time: what steps side by side took together counts once.
    """
    by_step: dict[str, float] = {}
    spans: list[tuple[float, float]] = []
    seen: set[str] = set()
    for method, found in statuses.items():
        for status in _made(found.values()):
            if status.key not in seen and status.artifact is not None:
                seen.add(status.key)
                name = status.id if method == "A" else f"{method}:{status.id}"
                manifest = status.artifact.manifest
                by_step[name] = float(manifest.get("seconds") or 0.0)
                spans.append((manifest["made_at"] - by_step[name], manifest["made_at"]))
    return {"total": round(covered(spans), 1), "by_step": by_step}


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """How much time some spans (begin, end) cover together."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _made(statuses: Iterable[StepStatus]) -> Iterable[StepStatus]:
    """Those that did some work themselves."""
    return (status for status in statuses if status.artifact is not None and not status.step.same_as)
