"""A command as one line that runs by hand: folder, environment and arguments, quoted for the shell."""

from __future__ import annotations

import os
import shlex
import subprocess

from lib_copier.engines.task import Command

_SIGNS = frozenset("&|<>^()%,;=")


def shell_line(command: Command, *, is_windows: bool = os.name == "nt") -> str:
    """For a POSIX shell, or for Windows' command prompt."""
    return _for_command_prompt(command) if is_windows else _for_posix(command)


def _for_posix(command: Command) -> str:
    folder = f"cd {shlex.quote(str(command.cwd))} && " if command.cwd is not None else ""
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in command.env)
    return folder + variables + shlex.join(command.argv)


def _for_command_prompt(command: Command) -> str:
    parts = [f'cd /d "{command.cwd}"'] if command.cwd is not None else []
    parts += [f'set "{name}={value}"' for name, value in command.env]
    return " && ".join([*parts, " ".join(map(_quoted_for_prompt, command.argv))])


def _quoted_for_prompt(word: str) -> str:
    """As a program's own parser reads it; quotes also keep the prompt from acting on its signs."""
    quoted = subprocess.list2cmdline([word])
    return f'"{word}"' if quoted == word and _SIGNS.intersection(word) else quoted
