"""`python -m lib_copier COMMAND …`: the way into every command once the environment is there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from lib_copier import commands, edge
from lib_copier.errors import InputError


def main(argv: Sequence[str]) -> int:
    """Run the command that the first argument names, in this process.

    Raises
    ------
    InputError
        No such command.
    """
    name = argv[0] if argv else ""
    command = commands.find_command(name)
    if command is None or not command.module:
        raise InputError(f"There is no command {name!r}.", "`python run.py --help` lists them.")
    module = importlib.import_module(command.module)
    code: int = module.main(list(argv) if command.passes_name else list(argv[1:]))
    return code


if __name__ == "__main__":
    edge.end_with_children()
    words = sys.argv[1:]
    edge.leave(edge.guard(main, words, answers_json=commands.wants_json(words)))
