"""What `run.py` does: read the command's name, make sure of its packages, run it in the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lib_copier import __version__, commands, edge
from lib_copier.border.child import start_options
from lib_copier.environment.pins import ROOT, read_pins
from lib_copier.environment.stamp import is_current, minor, python_of, read_stamp
from lib_copier.environment.torch_build import GIGABYTES
from lib_copier.errors import InputError

if TYPE_CHECKING:
    from lib_copier.environment.interpreter import Inside

FOLDER = "COPIER_LORA_ENVIRONMENT"
"""Environment variable: a folder to use in place of .venv (a read-only checkout, a shared one)."""
WHEELS = "COPIER_LORA_WHEELS"
"""Environment variable: the folder of --wheels, for a command that installs packages itself."""

_HELP = ("-h", "--help")
_HELPED = ("-m", "lib_copier")

USAGE = """usage: python run.py COMMAND [arguments]     (python run.py COMMAND --help tells more)

{commands}

Before the command, or anywhere among its arguments (they only matter while packages are installed):
  --cpu          torch's CPU build, whatever the machine has
  --gpu          torch's CUDA build, also where no GPU is seen
  --wheels DIR   look for packages in this folder first (machines without network)
  --host-torch   borrow the torch of the Python that runs this
  --python PATH  make the environment with that Python (3.10 to 3.13), anew where another version made it

The environment takes about {size} GB (--host-torch: {borrowed}; a CUDA build of torch: {cuda}) in
  {folder}
The environment variable {variable} names another folder for it.
"""


class Options(NamedTuple):
    """What the front door itself understands."""

    torch: str = "auto"
    wheels: Path | None = None
    borrows_torch: bool = False
    python: Inside | None = None
    """Makes the environment, anew where it is of another version; None: this one, where there is none."""


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
        elif argument.partition("=")[0] in ("--wheels", "--python"):
            name, equals, value = argument.partition("=")
            named = value if equals else next(arguments, "")
            options = _with_wheels(options, named) if name == "--wheels" else _with_python(options, named)
        else:
            rest.append(argument)
    return options, rest


def _with_wheels(options: Options, named: str) -> Options:
    folder = Path(named).expanduser()
    if not named or not folder.is_dir():
        raise InputError(f"--wheels {named!r}: no such folder.", "Name a folder that holds wheels.")
    return options._replace(wheels=folder.resolve())


def _with_python(options: Options, named: str) -> Options:
    from lib_copier.environment.interpreter import ask

    program = shutil.which(str(Path(named).expanduser())) if named else None
    python = ask(program) if program else None
    if python is None or not python.is_fit:
        raise InputError(
            f"--python {named!r}: no such program, or no Python 3.10 to 3.13 that has venv and ensurepip.",
            "Name one, for instance python3.11.",
        )
    return options._replace(python=python)


def environment_folder() -> Path:
    """Where the project's environment lies."""
    named = os.environ.get(FOLDER)
    return Path(named).expanduser().absolute() if named else ROOT / ".venv"


def start(argv: Sequence[str]) -> int:
    """Run one command line; returns its exit code (on POSIX the command replaces this process)."""
    try:
        options, rest = split_options(argv)
        if not rest or rest[0] in (*_HELP, "help"):
            print(_usage(), end="")
            return 0
        if rest[0] == "--version":
            print(f"Copier LoRA {__version__}")
            return 0
        command = _command(rest[0])
    except InputError as error:
        return edge.end(error, answers_json=commands.wants_json(argv))
    folder = environment_folder()
    groups = {name: read_pins(name) for name in commands.groups_for(command, _before_dashes(rest))}
    wish = "host" if options.borrows_torch else options.torch
    version = minor(options.python.version) if options.python else ""
    if not is_current(folder, groups, wish, version):
        if any(word in _HELP for word in _before_dashes(rest)):
            return _help(command, rest)
        code = _make(folder, groups, options, answers_json=commands.wants_json(rest))
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


def _usage() -> str:
    return USAGE.format(
        commands="\n".join(commands.describe_commands()),
        size=GIGABYTES["cpu"],
        borrowed=GIGABYTES["host"],
        cuda=GIGABYTES["cuda"],
        folder=environment_folder(),
        variable=FOLDER,
    )


def _before_dashes(words: Sequence[str]) -> Sequence[str]:
    return words[: words.index("--")] if "--" in words else words


def _help(command: commands.Command, arguments: Sequence[str]) -> int:
    """A command's help without its packages, which nobody has asked for yet."""
    if not command.module:
        print(f"usage: python run.py {command.name}: {command.summary}\n\n{_usage()}", end="")
        return 0
    argv = [sys.executable, *_HELPED, *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONNOUSERSITE": "1"}
    told = subprocess.run(
        argv, env=environ, capture_output=True, encoding="utf-8", check=False, **start_options()
    )
    if told.returncode == 0:
        print(told.stdout, end="")
    else:
        print(f"usage: python run.py {command.name} …: {command.summary}")
        print("Its options are told once the environment is made: python run.py setup")
    return 0


def _make(folder: Path, groups: dict[str, tuple[str, ...]], options: Options, *, answers_json: bool) -> int:
    # Only a start that has something to install pays for these imports.
    from dataclasses import replace

    from lib_copier.environment.layer import borrowed_paths, running_host_paths
    from lib_copier.environment.make import Wanted, make_environment
    from lib_copier.environment.report import Report

    def make(_: Sequence[str]) -> int:
        # Without a wish, an environment that borrows its torch goes on borrowing it.
        host = borrowed_paths(folder) if options.torch == "auto" else ()
        if options.borrows_torch:
            host = (options.python.site_packages,) if options.python else running_host_paths()
        wanted = Wanted(folder, groups, options.torch, options.wheels, host)
        if options.python:
            wanted = replace(wanted, python=options.python.python, version=minor(options.python.version))
        make_environment(wanted, Report())
        return 0

    return edge.guard(make, (), answers_json=answers_json)


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

    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.Popen(argv, env=environ).wait()
    finally:
        signal.signal(signal.SIGINT, previous)
