"""What `run.py` does: read the command's name, make sure of its packages, run it in the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lib_copier import __version__, commands
from lib_copier.environment.pins import ROOT, read_pins
from lib_copier.environment.stamp import is_current, python_of, read_stamp
from lib_copier.errors import InputError

FOLDER = "COPIER_LORA_ENVIRONMENT"
"""Environment variable: a folder to use in place of .venv (a read-only checkout, a shared one)."""
WHEELS = "COPIER_LORA_WHEELS"
"""Environment variable: the folder of --wheels, for a command that installs packages itself."""

USAGE = """usage: python run.py COMMAND [arguments]     (python run.py COMMAND --help tells more)

{commands}

Before the command, or anywhere among its arguments (they only matter while packages are installed):
  --cpu          torch's CPU build, whatever the machine has
  --gpu          torch's CUDA build, also where no GPU is seen
  --wheels DIR   look for packages in this folder first (machines without network)
  --host-torch   borrow the torch of the Python that runs this
"""


class Options(NamedTuple):
    """What the front door itself understands."""

    torch: str = "auto"
    wheels: Path | None = None
    borrows_torch: bool = False


def split_options(argv: Sequence[str]) -> tuple[Options, list[str]]:
    """Take the front door's options out of the arguments; what follows ``--`` is left as it is."""
    options = Options()
    rest: list[str] = []
    arguments = iter(argv)
    for argument in arguments:
        if argument == "--":
            return options, [*rest, argument, *arguments]
        if argument == "--cpu":
            options = options._replace(torch="cpu")
        elif argument == "--gpu":
            options = options._replace(torch="cuda")
        elif argument == "--host-torch":
            options = options._replace(borrows_torch=True)
        elif argument == "--wheels" or argument.startswith("--wheels="):
            _, equals, value = argument.partition("=")
            named = value if equals else next(arguments, "")
            folder = Path(named).expanduser()
            if not named or not folder.is_dir():
                raise InputError(f"--wheels {named!r}: no such folder.", "Name a folder that holds wheels.")
            options = options._replace(wheels=folder.resolve())
        else:
            rest.append(argument)
    return options, rest


def environment_folder() -> Path:
    """Where the project's environment lies."""
    named = os.environ.get(FOLDER)
    return Path(named).expanduser().absolute() if named else ROOT / ".venv"


def start(argv: Sequence[str]) -> int:
    """Run one command line; returns its exit code (on POSIX the command replaces this process)."""
    try:
        options, rest = split_options(argv)
        if not rest or rest[0] in ("-h", "--help", "help"):
            print(USAGE.format(commands="\n".join(commands.describe_commands())), end="")
            return 0
        if rest[0] == "--version":
            print(f"Copier LoRA {__version__}")
            return 0
        command = _command(rest[0])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    folder = environment_folder()
    groups = {name: read_pins(name) for name in command.groups}
    wish = "host" if options.borrows_torch else options.torch
    if not is_current(folder, groups, wish):
        code = _make(folder, groups, options)
        if code != 0:
            return code
    return 0 if not command.module else run_inside(folder, rest, options.wheels)


def _command(name: str) -> commands.Command:
    command = commands.find_command(name)
    if command is None:
        near = commands.nearest_command(name)
        raise InputError(
            f"There is no command {name!r}.",
            f"Did you mean {near!r}?" if near else "`python run.py --help` lists them.",
        )
    return command


def _make(folder: Path, groups: dict[str, tuple[str, ...]], options: Options) -> int:
    # Only a start that has something to install pays for these imports.
    from lib_copier import edge
    from lib_copier.environment.layer import borrowed_paths, running_host_paths
    from lib_copier.environment.make import Wanted, make_environment
    from lib_copier.environment.report import Report

    def make(_: Sequence[str]) -> int:
        # Without a wish, an environment that borrows its torch goes on borrowing it.
        host = borrowed_paths(folder) if options.torch == "auto" else ()
        if options.borrows_torch:
            host = running_host_paths()
        wanted = Wanted(folder, groups, options.torch, options.wheels, host)
        make_environment(wanted, Report())
        return 0

    return edge.guard(make, ())


def run_inside(folder: Path, arguments: Sequence[str], wheels: Path | None = None) -> int:
    """Hand over to the environment's interpreter; the exit code is the command's."""
    stamp = read_stamp(folder)
    # From 3.11 on, keep the folder the user stands in off the module path: a random.py there must not win.
    is_safe = stamp is not None and tuple(map(int, stamp.python.split(".")[:2])) >= (3, 11)
    argv = [str(python_of(folder)), *(["-P"] if is_safe else []), "-m", "lib_copier", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONNOUSERSITE": "1"}
    environ.pop("PYTHONHOME", None)
    if wheels is not None:
        environ[WHEELS] = str(wheels)
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform != "win32":
        os.execve(argv[0], argv, environ)
    return _run_and_wait(argv, environ)


def _run_and_wait(argv: Sequence[str], environ: dict[str, str]) -> int:
    """Windows cannot replace a process: wait, and leave Ctrl+C to the child, which gets it too."""
    import signal
    import subprocess

    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.Popen(argv, env=environ).wait()
    finally:
        signal.signal(signal.SIGINT, previous)
