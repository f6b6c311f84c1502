"""The project commands as people type them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lib_copier.app import project as commands
from lib_copier.edge import guard
from lib_copier.engines.locate import demo_checkpoint
from lib_copier.recipe.options import OPTIONS
from lib_copier.recipe.presets import preset_values
from lib_copier.steps.project import Project


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "base.safetensors"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def run(capsys):
    """Runs a command line; gives exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        code = guard(commands.main, [str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def made(run, tmp_path, checkpoint) -> Path:
    folder = tmp_path / "slider"
    code, _out, err = run(
        "new", folder, "--project.checkpoint", checkpoint, "--origin.prompt", "a house", "--edit", "outline"
    )
    assert code == 0, err
    return folder


def test_new_takes_every_option_as_a_flag(run, tmp_path, checkpoint) -> None:
    flags = [word for option in OPTIONS.values() for word in (f"--{option.key}", option.text(option.default))]
    code, _out, err = run("new", tmp_path / "x", *flags, "--project.checkpoint", checkpoint)
    assert code == 0, err
    recipe = Project.open(tmp_path / "x").recipe
    assert (recipe.get("copier.rank"), recipe.get("copier.steps")) == (64, 3072)


def test_new_tells_all_faults_and_leaves_nothing(run, tmp_path) -> None:
    junk = (
        "--copier.rank",
        "0",
        "--edit",
        "a=outline:width",
        "--origin",
        "../up",
        "--base.as_file",
        "perhaps",
    )
    code, _out, err = run("new", tmp_path / "x", *junk)
    assert code == 2 and "4 faults" in err and not (tmp_path / "x").exists()


def test_a_flag_without_its_group_is_not_known_but_named(run, tmp_path) -> None:
    for typed, meant in (("--method", "--project.method"), ("--copier.stepz", "--copier.steps")):
        code, _out, err = run("new", tmp_path / "x", typed, "1")
        assert code == 2 and f"did you mean {meant}?" in err
    assert not (tmp_path / "x").exists()


def test_a_relative_checkpoint_is_found_from_elsewhere(run, tmp_path, checkpoint, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("new", "x", "--project.checkpoint", checkpoint.name, "--origin.prompt", "a", "--edit", "flat")
    monkeypatch.chdir(tmp_path.parent)
    project = Project.open(tmp_path / "x")
    assert project.recipe.get("project.checkpoint") == str(checkpoint)


def test_a_checkpoint_brings_its_words_and_its_rate(run, tmp_path) -> None:
    checkpoint = shutil.copy(demo_checkpoint(), tmp_path / "renamed.safetensors")
    words = ("--project.checkpoint", checkpoint, "--origin", "a", "--edit", "flat", "--origin.seed", "9")
    run("new", tmp_path / "x", *words)
    recipe = Project.open(tmp_path / "x").recipe
    assert recipe.texts("sweep.prompts")[0] == "purple house, blue sky, snow"
    assert recipe.get("copier.learning_rate") == 5e-3
    origin = recipe.origin("a")
    prompt = "green heart, sunset sky, snow"
    assert (origin.get("prompt"), origin.get("width"), origin.get("seed")) == (prompt, 128, 9)


def test_a_flag_wins_over_what_a_preset_gives_a_weak_effect(run, tmp_path, checkpoint) -> None:
    folder = tmp_path / "x"
    run("new", folder, "--preset", "memo", "--edit", "flat", "--edit_lora.steps", "12")
    recipe = Project.open(folder).recipe
    found = [recipe.get(f"edit_lora.{name}", recipe.edit("flat")) for name in ("steps", "rank", "alpha")]
    assert found == [12, 128, 64.0]


@pytest.mark.parametrize("method", ["copier", "difference", "pairs"])
def test_a_new_project_has_the_presets_numbers_for_its_method(run, tmp_path, method) -> None:
    run("new", tmp_path / "x", "--edit", "outline", "--project.method", method)
    recipe, wanted = Project.open(tmp_path / "x").recipe, preset_values("auto", method)
    assert recipe.method == method
    assert {key: recipe.get(key) for key in wanted} == wanted


def test_new_from_a_recipe_file_and_back(run, made, tmp_path) -> None:
    _code, out, _err = run("new", tmp_path / "again", "--recipe", made / "project.json")
    first, second = Project.open(made).recipe, Project.open(tmp_path / "again").recipe
    # It may have come from anywhere: what it names by paths is told, not taken.
    assert second == first.with_settings({"project.checkpoint": "", "project.name": "again"})
    assert f"give it again: project.checkpoint: {Path(first.checkpoint).name}" in out
    (tmp_path / "bad.json").write_text("{")
    code, _out, err = run("new", tmp_path / "third", "--recipe", tmp_path / "bad.json")
    assert code == 2 and "is no sound JSON" in err


def test_status_as_text_and_as_json(run, made) -> None:
    code, out, _err = run("status", made)
    assert code == 0 and "copier/origin" in out and "waits for origin/origin" in out
    code, out, _err = run("status", made, "--json")
    found = json.loads(out)
    assert found["project"] == "slider" and found["faults"] == []
    assert found["steps"][0]["id"] == "origin/origin" and found["steps"][0]["state"] == "missing"


def test_set_shows_what_follows_and_refuses_junk(run, made) -> None:
    code, out, _err = run("set", made, "edits.outline.effects=outline:strength=0.5", "copier.rank=8")
    assert code == 0 and "edit/origin/outline: missing" in out
    assert Project.open(made).recipe.get("copier.rank") == 8
    code, _out, err = run("set", made, "copier.rank")
    assert code == 2 and "KEY=VALUE" in err
    code, _out, err = run("set", made, "edits.outline.resize.rank=4", "edits.outline.copier.rank=4")
    assert code == 2 and "may have for itself" in err
    run("set", made, "edits.outline.resize.rank=4")
    code, out, _err = run("set", made, "resize.rank=16")
    assert "edit outline has its own resize.rank" in out
    run("set", made, "edits.outline.resize.rank=common")
    recipe = Project.open(made).recipe
    assert recipe.get("resize.rank", recipe.edit("outline")) == 16
    run("set", made, "edits.outline=none")
    assert Project.open(made).recipe.edits == ()


def test_run_refuses_an_unsound_recipe_with_all_faults(run, tmp_path) -> None:
    run("new", tmp_path / "x")
    code, _out, err = run("run", tmp_path / "x")
    assert code == 2 and "3 faults" in err
    code, _out, err = run("run", tmp_path / "none")
    assert code == 2 and "holds no project" in err


@pytest.mark.parametrize("verb", list(commands.COMMANDS))
def test_every_command_has_help(run, verb) -> None:
    with pytest.raises(SystemExit) as ended:
        run(verb, "--help")
    assert ended.value.code == 0


def test_prune_and_export_of_an_unfinished_project(run, made, tmp_path) -> None:
    code, out, _err = run("prune", made)
    assert code == 0 and "0 folders" in out
    code, _out, err = run("export", made, tmp_path)
    assert code == 2 and "not published yet" in err
