"""`run.py bench slider`: from the origin to the published slider, by step and by kind of time."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measured import PeakMemory
from lib_copier import edge
from lib_copier.app.demo import demo_recipe
from lib_copier.engines.listening import Watch
from lib_copier.engines.locate import demo_checkpoint
from lib_copier.engines.process import Outcome, run_command
from lib_copier.engines.sd_scripts.checkout import CHECKOUT_VARIABLE
from lib_copier.engines.task import Command
from lib_copier.engines.workers import Workers
from lib_copier.files.disk import write_json
from lib_copier.recipe.model import Recipe
from lib_copier.steps.change import all_changed
from lib_copier.steps.project import Project

KINDS = ("start", "load", "train", "print", "measure", "algebra", "wait")
"""Of time: until a job's libraries are there, until its models are, steps of a training, pictures, numbers
and pictures without a model, sums of LoRAs, and what no step was at."""
_WORK = {
    "train": ("copier", "edited_copier", "edit_lora", "control_lora", "base"),
    "print": ("origin", "check", "sweep", "control"),
    "measure": ("edit", "survival", "caption"),
}


def main(argv: Sequence[str]) -> int:
    """Make the slider twice: by workers, and with one process a step; the second is what the first spares."""
    asked = _parser().parse_args(argv)
    recipe = demo_recipe(asked.checkpoint, is_quick=True, device=asked.device)
    if asked.size:
        sides = (f"{group}.{side}" for group in ("origins.scene", "sweep") for side in ("width", "height"))
        recipe = all_changed(recipe, dict.fromkeys(sides, asked.size))
    found: dict[str, Any] = {"checkpoint": asked.checkpoint.name, "load": psutil.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="bench ") as scratch:
        ways: dict[str, tuple[Recipe, Workers]] = {"": (recipe, Workers())}
        if not asked.once:
            ways["one_process_a_step"] = (recipe, _OneEach())
        if asked.sd_scripts:
            os.environ[CHECKOUT_VARIABLE] = str(asked.sd_scripts)
            theirs = recipe.with_settings({"project.engine": "sd-scripts"})
            ways["sd_scripts"] = (theirs, _OneEach())
        for name, (own, workers) in ways.items():
            figures = _measured(Path(scratch) / (name or "workers"), own, workers)
            print(_line(name or "workers", figures), flush=True)
            found |= {name: figures} if name else figures
            if asked.json is not None:
                write_json(asked.json, found)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench slider", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="else what suits the model")
    parser.add_argument("--checkpoint", type=_file, default=demo_checkpoint(), metavar="FILE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--once", action="store_true", help="leave one process a step out")
    parser.add_argument("--sd-scripts", type=_file, metavar="DIR", help="its way too, by this checkout")
    return parser


def _file(text: str) -> Path:
    return Path(text).expanduser().absolute()


class _OneEach(Workers):
    """Each command in a process of its own."""

    def run(self, command: Command, watch: Watch) -> Outcome:
        with self._lock:
            self.starts += 1
        return run_command(command, watch)


@dataclass
class _Step:
    """When a step began, had its libraries, made progress first and last, and ended (seconds)."""

    began: float
    loading: float | None = None
    first: float | None = None
    last: float | None = None
    ended: float | None = None


@dataclass
class _Times:
    """Gathers the steps of a run from its events."""

    steps: dict[str, _Step] = field(default_factory=dict)

    def __call__(self, event: Mapping[str, Any]) -> None:
        kind, now = event["event"], time.monotonic()
        if kind == "step_started":
            self.steps[event["id"]] = _Step(now)
        step = self.steps.get(str(event.get("id")))
        if step is None:
            return
        if kind == "loading":
            step.loading = now
        elif kind == "progress":
            step.first, step.last = step.first or now, now
        elif kind == "step_done":
            step.ended = now

    def by_kind(self, total: float) -> dict[str, float]:
        """Seconds of each kind; steps side by side count each for itself, and ``wait`` is what is left."""
        found: dict[str, float] = defaultdict(float)
        for step_id, step in self.steps.items():
            if step.ended is not None:
                for kind, seconds in _split(step_id, step, step.ended):
                    found[kind] += seconds
        spent = sum(found.values())
        return {kind: round(found[kind], 2) for kind in KINDS[:-1]} | {
            "wait": round(max(0.0, total - spent), 2)
        }

    def by_step(self) -> dict[str, float]:
        """Seconds of each step."""
        ended = {name: step for name, step in self.steps.items() if step.ended is not None}
        return {name: round((step.ended or 0.0) - step.began, 2) for name, step in ended.items()}


def _split(step_id: str, step: _Step, ended: float) -> list[tuple[str, float]]:
    kind = step_id.partition("/")[0]
    work = next((name for name, kinds in _WORK.items() if kind in kinds), "algebra")
    if step.loading is None:
        return [(work, ended - step.began)]
    start = ("start", step.loading - step.began)
    if step.first is None or step.last is None:
        return [start, ("load", ended - step.loading)]
    after = "measure" if work == "print" and kind != "origin" else work
    return [
        start,
        ("load", step.first - step.loading),
        (work, step.last - step.first),
        (after, ended - step.last),
    ]


def _measured(folder: Path, recipe: Recipe, workers: Workers) -> dict[str, Any]:
    times, memory = _Times(), PeakMemory()
    began, spent = time.monotonic(), _processor_seconds()
    with memory, workers:
        Project.create(folder, recipe).run(listener=times, workers=workers)
    total = time.monotonic() - began
    seconds = {"total": round(total, 2), "by_kind": times.by_kind(total), "by_step": times.by_step()}
    # Unlike wall time, hardly another on a machine that others use too.
    seconds["processor"] = round(_processor_seconds() - spent, 1)
    return {"seconds": seconds, "process_starts": workers.starts, "peak_gib": round(memory.peak / 2**30, 3)}


def _processor_seconds() -> float:
    """Of this process and of its children that have ended, on all cores."""
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system


def _line(name: str, figures: Mapping[str, Any]) -> str:
    kinds = ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in figures["seconds"]["by_kind"].items())
    return (
        f"{name:<20} {figures['seconds']['total']:7.1f} s ({kinds}), "
        f"{figures['seconds']['processor']:.0f} s of processors, "
        f"{figures['process_starts']} process starts, {figures['peak_gib']:.2f} GiB"
    )


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:]))
