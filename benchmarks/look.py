"""A look at a project of a thousand files: the first one of a copy, and one that knows them all."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lib_copier.graph.folders import Folders
from lib_copier.graph.runner import Runner
from lib_copier.graph.status import DONE, Inspector
from lib_copier.graph.step import Output, Plan, Result, Step, Workplace
from lib_copier.graph.store import Store

_STEPS, _FILES = 10, 100


def main(argv: Sequence[str]) -> int:
    """Make the files, look twice, print the seconds, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(prog="run.py bench look", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)
    outputs = tuple(Output(f"{number}.txt", "text") for number in range(_FILES))
    plan = Plan(tuple(Step(f"s{n}", "s", _write, (), (("n", n),), outputs) for n in range(_STEPS)))
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        Runner(plan, Store(project), Folders(project), str).run()
        (project / "digests.json").unlink()
        found = {name: _seconds(plan, project) for name in ("first", "warm")}
    for name, seconds in found.items():
        print(f"{name:<6}{seconds * 1000:>8.1f} ms for {_STEPS * _FILES} files")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _write(place: Workplace) -> Result:
    for output in place.step.outputs:
        (place.out / output.name).write_text(f"{place.params['n']} {output.name}", encoding="utf-8")
    return {}


def _seconds(plan: Plan, project: Path) -> float:
    began = time.perf_counter()
    found = Inspector(plan, Store(project), project, str).all()
    assert all(status.state == DONE for status in found)
    return time.perf_counter() - began
