"""Every command of `run.py`: its name, the module that does it, and the packages it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

BASE = ("base",)
_ALL = ("base", "ui", "ray", "prune", "test")
_PROJECT = "lib_copier.app.project"
_ON_RAY = (("--on", "ray"),)


class Command(NamedTuple):
    """One command; `module` has ``main(argv) -> int``."""

    name: str
    module: str
    summary: str
    groups: tuple[str, ...] = BASE
    """The files under requirements/ whose packages the command needs."""
    passes_name: bool = False
    """The module serves several commands and gets the name as its first argument."""
    names_json_file: bool = False
    """Its ``--json`` names a file; everywhere else it asks for one object on stdout."""
    flagged: tuple[tuple[str, str], ...] = ()
    """Further groups, each needed only where a flag has a value that begins with the group's name."""
    is_internal: bool = False
    """Run by other commands; left out of the table that people read."""


COMMANDS = (
    Command("demo", "lib_copier.app.demo", "run all methods on the demo checkpoint and write a report"),
    Command("ui", "lib_copier.app.serve", "serve the wizard on this machine", ("base", "ui")),
    Command("new", _PROJECT, "make a project: a folder with a recipe", passes_name=True),
    Command("set", _PROJECT, "change settings of a project's recipe", passes_name=True),
    Command("run", _PROJECT, "do what is not done of a project", passes_name=True, flagged=_ON_RAY),
    Command("rerun", _PROJECT, "do one step of a project again", passes_name=True, flagged=_ON_RAY),
    Command("status", _PROJECT, "what is done, what will run, and why", passes_name=True),
    Command("by-hand", _PROJECT, "the command of one step, to run by hand", passes_name=True),
    Command("export", _PROJECT, "copy a project's finished LoRAs out", passes_name=True),
    Command("prune", _PROJECT, "delete what no recipe uses any more", passes_name=True),
    Command("study", "lib_copier.app.study", "try a recipe in many ways", flagged=_ON_RAY),
    Command("jobs", "lib_copier.app.jobs", "what waits and runs behind the pages; stop it"),
    Command("lora", "lib_copier.lora.__main__", "merge, resize, svd-merge, extract, info, verify LoRA files"),
    Command("train", "lib_copier.train.__main__", "train one LoRA as CONFIG.json says"),
    Command("generate", "lib_copier.generate.__main__", "print pictures from a checkpoint, with LoRAs"),
    Command("engine", "lib_copier.app.engine", "install, show or remove kohya's sd-scripts"),
    Command("cluster", "lib_copier.app.cluster", "make this machine a Ray cluster", ("base", "ray")),
    Command("bench", "benchmarks.__main__", "measure speed, memory and exactness", names_json_file=True),
    Command("test", "lib_copier.app.tests", "run the tests (arguments go to pytest)", _ALL),
    Command("setup", "", "make the environment and do nothing else"),
    Command("image", "lib_copier.image.__main__", "edits, masks and pair checks", is_internal=True),
    Command("measure", "lib_copier.measure.__main__", "copier check, sweep, report", is_internal=True),
)


def find_command(name: str) -> Command | None:
    """The command of that name, or None."""
    return next((command for command in COMMANDS if command.name == name), None)


def wants_json(argv: Sequence[str]) -> bool:
    """Whether a command line asks for one object on stdout; argparse takes shortened flags too."""
    asks = any(len(word) > 2 and "--json".startswith(word) for word in argv)
    return asks and not any(command.names_json_file for command in COMMANDS if command.name in argv[:1])


def groups_for(command: Command, words: Sequence[str]) -> tuple[str, ...]:
    """The groups that the command needs with these arguments."""
    given = [word.partition("=")[::2] for word in words] + list(zip(words, words[1:], strict=False))
    asked = {group for flag, group in command.flagged for name, value in given if name == flag
             and value.startswith(group)}  # fmt: skip
    return (*command.groups, *sorted(asked))


def nearest_command(name: str) -> str | None:
    """The command that a mistyped name most likely means."""
    import difflib

    close = difflib.get_close_matches(name, [command.name for command in COMMANDS], n=1)
    return close[0] if close else None


def describe_commands() -> Iterator[str]:
    """The table of commands, a line each."""
    for command in COMMANDS:
        if not command.is_internal:
            yield f"  {command.name:<10}{command.summary}"
