"""The table of commands: names, modules, and what a mistyped name leads to."""

from __future__ import annotations

import pytest

from lib_copier import commands
from lib_copier.environment.pins import ROOT


def test_names_are_unique() -> None:
    names = [command.name for command in commands.COMMANDS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.name)
def test_every_group_has_its_requirements_file(command: commands.Command) -> None:
    for group in command.groups:
        assert (ROOT / "requirements" / f"{group}.txt").is_file()


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.name)
def test_every_command_has_its_module(command: commands.Command) -> None:
    path = ROOT.joinpath(*command.module.split(".")).with_suffix(".py")
    assert not command.module or path.is_file()


def test_a_slip_of_the_finger_finds_its_command() -> None:
    assert commands.nearest_command("tests") == "test"
    assert commands.nearest_command("generat") == "generate"
    assert commands.nearest_command("xyzzy") is None


def test_internal_commands_stay_out_of_the_table() -> None:
    table = "\n".join(commands.describe_commands())
    assert "  demo " in table
    assert "\n  measure " not in table
