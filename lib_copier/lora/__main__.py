"""`lora merge | resize | svd-merge | extract | info | verify`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from lib_copier.edge import guard, leave


def main(argv: Sequence[str], *, emits_events: bool = False) -> int:
    """Run one command and give its exit code; nothing that the command does not need is imported.

    With `emits_events` stdout carries event lines for a parent process instead of text.
    """
    from lib_copier.lora.parallel import keep_blas_to_one_thread

    keep_blas_to_one_thread()
    if emits_events:
        # A parent's "terminate" then cleans up like Ctrl-C: no unfinished file stays behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    from lib_copier.lora.arguments import parse

    arguments = parse(argv)
    from lib_copier.lora import commands, inspect
    from lib_copier.lora.console import Console

    mode = "json" if arguments.json else "events" if emits_events else "text"
    table = {
        "merge": commands.merge,
        "resize": commands.resize_command,
        "svd-merge": commands.svd_merge,
        "extract": commands.extract_command,
        "info": inspect.info,
        "verify": inspect.verify,
    }
    return table[arguments.command](arguments, Console(mode))


def as_child(argv: Sequence[str]) -> int:
    """The same for a parent process, which reads events."""
    return main(argv, emits_events=True)


if __name__ == "__main__":
    leave(guard(as_child, sys.argv[1:], emits_events=True))
