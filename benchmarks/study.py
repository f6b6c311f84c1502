"""How a study grows: the plan of many variants, a look at them, the page, what a step costs its driver."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from lib_copier.app.demo import demo_recipe
from lib_copier.engines.listening import Watch
from lib_copier.engines.locate import demo_checkpoint
from lib_copier.engines.process import Outcome
from lib_copier.engines.task import Command
from lib_copier.graph.executor import Work
from lib_copier.graph.folders import Folders
from lib_copier.graph.runner import Runner
from lib_copier.graph.step import Output, Plan, Step, StepInput, Workplace
from lib_copier.graph.store import Store
from lib_copier.study.axes import read_axes
from lib_copier.study.question import Question
from lib_copier.study.report import page
from lib_copier.study.rungs import WHOLE
from lib_copier.study.score import MEASURED
from lib_copier.study.score import Outcome as Judged
from lib_copier.study.study import Study
from lib_copier.study.table import lines

_Made = TypeVar("_Made")
_PER_ORIGIN = 100


class Sleepers:
    """An executor of many places whose steps only sleep."""

    beside = 0

    def __init__(self, at_once: int, seconds: float) -> None:
        self.at_once = at_once
        self._seconds = seconds

    def run(self, work: Work, watch: Watch) -> Outcome:
        """Sleep, and write what the step makes."""
        time.sleep(self._seconds)
        (work.place.out / "f").write_text(work.place.step.id, encoding="utf-8")
        return Outcome({})

    def rest(self, *, leaves_device: bool) -> None:
        """Nothing is kept."""


def main(argv: Sequence[str]) -> int:
    """Print the figures, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(prog="run.py bench study", description=__doc__)
    parser.add_argument("--variants", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=2_000, help="that sleep; default: %(default)s")
    parser.add_argument("--places", type=int, default=100, help="they sleep on; default: %(default)s")
    parser.add_argument("--sleep", type=float, default=1.0, help="seconds of each; default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        found = {**plan_figures(Path(folder) / "study", options.variants)}
        found |= driver_figures(Path(folder) / "steps", options.steps, options.places, options.sleep)
    for name, value in found.items():
        print(f"{name:<28}{value:>12,.2f}" if isinstance(value, float) else f"{name:<28}{value:>12,}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def plan_figures(folder: Path, count: int) -> dict[str, Any]:
    """Seconds of processor time, MiB at the peak and bytes on disk for so many variants."""
    recipe = demo_recipe(demo_checkpoint(), is_quick=True)
    axes = [
        {"address": "origins.scene.seed", "values": list(range(1, max(count // _PER_ORIGIN, 1) + 1))},
        {"address": "edits.outline.effects.strength", "values": [n / 10 for n in range(1, 11)]},
        {"address": "edit_lora.rank", "values": list(range(4, 14))},
    ]
    found: dict[str, Any] = {}

    def timed(name: str, work: Callable[[], _Made]) -> _Made:
        began = time.process_time()
        made = work()
        found[f"{name}, s"] = time.process_time() - began
        return made

    question = Question(recipe, timed("axes", lambda: read_axes(axes, recipe)))
    timed("new", lambda: Study.create(folder, question))
    study = Study.open(folder)
    joint = timed("plan", lambda: study.joint(WHOLE))
    found["variants"], found["steps alone"] = len(study.variants), joint.planned
    found["steps joined"] = len(joint.plan.steps)
    found["peak, MiB"] = peak_mib()
    timed("keys and states", lambda: study.statuses(joint))
    shares = {"sweep/outline": {"follows": 0.9, "strength": 0.8, "leak": 0.9, "fidelity": 0.7, "rest": 0.5}}
    judged = Judged(MEASURED, 0.5, "usable", "whole", 60.0, shares)
    outcomes = {one.number: replace(judged, score=one.number / len(study.variants)) for one in study.variants}
    timed("record", lambda: study.record(outcomes))
    timed("status", lambda: _status(folder))
    text = timed("page", lambda: page(study, outcomes))
    found["page, bytes"] = len(text.encode())
    for name in ("study.json", "outcomes.json"):
        found[f"{name}, bytes"] = (folder / name).stat().st_size
    return found


def driver_figures(folder: Path, count: int, places: int, seconds: float) -> dict[str, Any]:
    """What a step costs the process that drives it, beside its own time; and what is made of the machines.

    Chains of four steps, as a variant's own; `places` of them at once.
    """
    folder.mkdir()
    steps = [_sleeper(number) for number in range(count // 4 * 4)]
    began, work = time.perf_counter(), time.process_time()
    Runner(Plan(tuple(steps)), Store(folder), Folders(folder), str, executor=Sleepers(places, seconds)).run()
    wall, work = time.perf_counter() - began, time.process_time() - work
    ideal = len(steps) * seconds / places
    log = next((folder / "log").glob("*.jsonl"))
    return {
        "driven steps": len(steps),
        "driver, ms a step": 1000 * work / len(steps),
        "wall, s": wall,
        "share of the places used": ideal / wall,
        "log, bytes a step": log.stat().st_size / len(steps),
        "digests.json, bytes a step": (folder / "digests.json").stat().st_size / len(steps),
    }


def peak_mib() -> float:
    """The most memory that this process has held."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _status(folder: Path) -> list[str]:
    study = Study.open(folder)
    return list(lines(study, study.known(), 20))


def _sleeper(number: int) -> Step:
    first, place = number - number % 4, number % 4
    before = (StepInput("before", step=f"s{first + place - 1}", output="f"),) if place else ()
    return Step(f"s{number}", "s", _sleep, before, (("n", number),), (Output("f", "text"),))


def _sleep(place: Workplace) -> Command:
    return Command(("sleep",))
