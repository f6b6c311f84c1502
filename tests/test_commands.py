"""The table of commands: names, modules, and what a mistyped name leads to."""

from __future__ import annotations

import json

import pytest

from lib_copier import commands
from lib_copier.__main__ import main
from lib_copier.edge import guard
from lib_copier.environment.pins import ROOT


def test_names_are_unique() -> None:
    names = [command.name for command in commands.COMMANDS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.name)
def test_every_group_has_its_requirements_file(command: commands.Command) -> None:
    for group in (*command.groups, *(group for _, group in command.flagged)):
        assert (ROOT / "requirements" / f"{group}.txt").is_file()


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.name)
def test_every_command_has_its_module(command: commands.Command) -> None:
    path = ROOT.joinpath(*command.module.split(".")).with_suffix(".py")
    assert not command.module or path.is_file()


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        (["P"], ("base",)),
        (["P", "--on", "local"], ("base",)),
        (["P", "--on"], ("base",)),
        (["P", "--on", "ray"], ("base", "ray")),
        (["P", "--on=ray://there:10001"], ("base", "ray")),
    ],
)
def test_ray_is_installed_when_it_is_asked_for(words: list[str], groups: tuple[str, ...]) -> None:
    run = commands.find_command("run")
    assert run is not None and commands.groups_for(run, words) == groups
    assert commands.groups_for(commands.COMMANDS[0], ["--on", "ray"]) == ("base",)


def test_a_slip_of_the_finger_finds_its_command() -> None:
    assert commands.nearest_command("tests") == "test"
    assert commands.nearest_command("generat") == "generate"
    assert commands.nearest_command("xyzzy") is None


def test_internal_commands_stay_out_of_the_table() -> None:
    table = "\n".join(commands.describe_commands())
    assert "  demo " in table
    assert "\n  measure " not in table


@pytest.mark.parametrize(
    "line",
    [
        "run", "run no/project", "run no/project --untill check", "rerun no/project copier", "status no/p",
        "jobs stop none", "jobs halt", "engine", "engine install --folder no/folder",
        "lora", "lora info no.safetensors", "lora verify", "lora merge --models a --save_to b.safetensors",
        "lora resize --model a --new_rank many --save_to b.safetensors", "trian",
    ],
)  # fmt: skip
@pytest.mark.parametrize("flag", ["--json", "--js"])
def test_bad_input_is_answered_in_json(line: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*line.split(), flag]
    assert guard(main, words, answers_json=commands.wants_json(words)) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["what"] in said.err


def test_a_file_for_figures_is_no_wish_for_an_answer() -> None:
    assert not commands.wants_json(["bench", "lora", "--json", "figures.json"])
    assert not commands.wants_json(["run", "--", "-"])
