"""Small chains of steps that need no model: text files made by Python actions or tiny children."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lib_copier.engines.task import Command
from lib_copier.graph.executor import Local
from lib_copier.graph.folders import Folders
from lib_copier.graph.runner import Runner
from lib_copier.graph.step import Output, Plan, Result, Step, StepInput, Workplace
from lib_copier.graph.store import Store

TEXT = (Output("text.txt", "text"),)


def write(place: Workplace) -> Result:
    """Joins its inputs and its word."""
    parts = [path.read_text() for path in place.paths("text")]
    (place.out / "text.txt").write_text("+".join([*parts, str(place.params["word"])]))
    return {"word": place.params["word"]}


def child(place: Workplace) -> Command:
    """The same in a child, after so many `ticks` and not before the file `until` is there."""
    code = (
        "import os, sys, time, json\n"
        "step = 0\n"
        "until, out, word, ticks = sys.argv[1:]\n"
        "while step < int(ticks) or until and not os.path.exists(until):\n"
        "    time.sleep(0.02)\n"
        "    print(json.dumps({'event': 'progress', 'step': step, 'total': 9}), flush=True)\n"
        "    step += 1\n"
        "open(out, 'w').write(word)\n"
        "print(json.dumps({'event': 'done', 'ok': True}))"
    )
    words = [*(path.read_text() for path in place.paths("text")), str(place.params["word"])]
    told = (
        place.params.get("until", ""),
        place.out / "text.txt",
        "+".join(words),
        place.params.get("ticks", 0),
    )
    return Command((sys.executable, "-S", "-c", code, *map(str, told)))


def step(name: str, *follows: str, action: object = write, **params: object) -> Step:
    """One step named `name` that writes text.txt."""
    inputs = tuple(StepInput("text", step=one, output="text.txt") for one in follows)
    values = tuple({"word": name, **params}.items())
    return Step(name, name.partition("/")[0], action, inputs, values, TEXT)  # type: ignore[arg-type]


def make(
    folder: Path, *steps: Step, engine_version: str = "1", at_once: int = 1, **options: object
) -> Runner:
    """A runner over some steps in a folder."""
    options.setdefault("executor", Local(at_once=at_once))
    return Runner(Plan(steps), Store(folder), Folders(folder), lambda name: engine_version, **options)  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Runner]:
    """`make` in this test's folder."""
    return partial(make, tmp_path)


def texts(runner: Runner) -> dict[str, str]:
    found = {status: runner._statuses[status].artifact for status in runner._statuses}
    return {name: artifact.file("text.txt").read_text() for name, artifact in found.items() if artifact}
