"""Records name places by words, and find them again on another machine."""

from __future__ import annotations

import os
from pathlib import Path

from lib_copier.engines.locate import python, root
from lib_copier.graph.folders import portable, with_folders, without_folders


def test_a_line_runs_again_wherever_the_project_lies(tmp_path: Path) -> None:
    line = f"{python()} -m x {tmp_path}/work/a.json {root()}/run.py"
    told = without_folders(line, tmp_path)
    assert told == "{python} -m x {project}/work/a.json {root}/run.py"
    assert with_folders(told, tmp_path) == line
    assert with_folders(told, Path("/elsewhere")) == line.replace(str(tmp_path), "/elsewhere")


def test_a_result_names_its_outputs_alone(tmp_path: Path) -> None:
    out = tmp_path / "work" / "k" / "out"
    result = {"html": f"{out}{os.sep}a.html", "all": [str(out), f"{tmp_path}/x", 3]}
    assert portable(result, out, tmp_path) == {"html": "a.html", "all": [".", "{project}/x", 3]}
