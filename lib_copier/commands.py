"""Every command of `run.py`: its name, the module that does it, and the packages it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

BASE = ("base",)


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
    is_internal: bool = False
    """Run by other commands; left out of the table that people read."""


COMMANDS = (
    Command("demo", "lib_copier.app.demo", "run all methods on the demo checkpoint and write a report"),
    Command("ui", "lib_copier.app.serve", "serve the wizard on this machine", ("base", "ui")),
    Command("new", "lib_copier.app.project", "make a project: a folder with a recipe", passes_name=True),
    Command("set", "lib_copier.app.project", "change settings of a project's recipe", passes_name=True),
    Command("run", "lib_copier.app.project", "do the steps of a project that are not done", passes_name=True),
    Command("rerun", "lib_copier.app.project", "do one step of a project again", passes_name=True),
    Command("status", "lib_copier.app.project", "what is done, what will run, and why", passes_name=True),
    Command("by-hand", "lib_copier.app.project", "the command of one step, to run by hand", passes_name=True),
    Command("export", "lib_copier.app.project", "copy a project's finished LoRAs out", passes_name=True),
    Command("prune", "lib_copier.app.project", "delete what no recipe uses any more", passes_name=True),
    Command("study", "lib_copier.app.study", "try a recipe in many ways: new, run, status, report, publish"),
    Command("jobs", "lib_copier.app.jobs", "what waits and runs behind the pages; stop it"),
    Command("lora", "lib_copier.lora.__main__", "merge, resize, svd-merge, extract, info, verify LoRA files"),
    Command("train", "lib_copier.train.__main__", "train one LoRA as CONFIG.json says"),
    Command("generate", "lib_copier.generate.__main__", "print pictures from a checkpoint, with LoRAs"),
    Command("engine", "lib_copier.app.engine", "install, show or remove kohya's sd-scripts"),
    Command("bench", "benchmarks.__main__", "measure speed, memory and exactness", names_json_file=True),
    Command("test", "lib_copier.app.tests", "run the tests (arguments go to pytest)", ("base", "ui", "test")),
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
