"""The study commands as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_copier.app import study as commands
from lib_copier.edge import guard
from lib_copier.study.study import Study
from tests.steps.conftest import checkpoint, stand_in  # noqa: F401 - fixtures


@pytest.fixture
def run(capsys):
    """Runs a command line; gives exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        code = guard(commands.main, [str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def base(checkpoint: Path) -> tuple[str, ...]:  # noqa: F811 - a fixture
    return ("--project.checkpoint", str(checkpoint), "--origin", "house", "--edit", "outline",
            "--origin.prompt", "a house")  # fmt: skip


def test_from_new_to_published_by_flags(run, base, tmp_path):
    folder, loras = tmp_path / "asked", tmp_path / "loras"
    strengths = ("--axis", "edits.outline.effects.strength", "0.5", "1")
    code, out, err = run("new", folder, *base, *strengths, "--axis", "copier.rank", "4", "8")
    assert code == 0, err
    assert "4 variants of edits.outline.effects.strength (2), copier.rank (2)" in out
    code, out, _ = run("status", folder)
    assert code == 0 and "4 waiting" in out
    code, out, err = run("run", folder, "--json")
    assert code == 0, err
    ranked = json.loads(out)["variants"]
    assert [one["state"] for one in ranked] == ["measured"] * 4
    loras.mkdir()
    code, out, err = run("publish", folder, loras)
    assert code == 0, err
    assert Path(out.split()[0]).name == f"asked-{ranked[0]['number']}-outline.safetensors"
    code, out, _ = run("report", folder)
    assert code == 0 and Path(out.strip()).is_file()
    code, out, err = run("take", folder, tmp_path / "mine", "--variant", "3")
    assert code == 0, err
    assert (tmp_path / "mine" / "project.json").is_file()


def test_axes_from_a_file_and_listed(run, base, tmp_path):
    axes = tmp_path / "axes.json"
    axes.write_text(json.dumps([{"address": "origins.house.seed", "values": [1, 2]}]), encoding="utf-8")
    more = ("--axes", axes, "--axis", "copier.rank", "4", "8", "--listed", "--prune", "2")
    code, _, err = run("new", tmp_path / "asked", *base, *more)
    assert code == 0, err
    question = Study.open(tmp_path / "asked").question
    assert (question.is_crossed, question.reduction, len(question.axes)) == (False, 2, 2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("new", "{f}"), "no list of 1 to"),
        (("new", "{f}", "--axis", "copier.rank"), "axis 'copier.rank' has 0 values"),
        (("new", "{f}", "--axis", "copier.rnk", "3"), "did you mean copier.rank?"),
        (("new", "{f}", "--axis", "copier.rank", "3", "--prune", "1"), "One variant in 1 cannot go on"),
        (("new", "{f}", "--axes", "none.json"), "none.json: no such file"),
        (("new", "{f}", "--project", "none"), "holds no project"),
        (("run", "{f}"), "holds no study"),
        (("status", "{f}"), "holds no study"),
        (("publish", "{f}", "."), "holds no study"),
        (("what", "{f}"), "There is no `study what`"),
        (("run",), "required: FOLDER"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, tmp_path, words, told):
    code, _, err = run(*(word.format(f=tmp_path / "asked") for word in words))
    assert code == 2 and told in err and err.count("\n") == 1
    assert not (tmp_path / "asked").exists()
