"""The one place where errors end: they become a line on stderr and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence

from lib_copier.border import events
from lib_copier.errors import CancelledError, CopierError, InputError


class Terminated(KeyboardInterrupt):
    """SIGTERM: whoever ends us wants what we started to end too."""


def end_with_children() -> None:
    """Let SIGTERM end this process as Ctrl-C does, which takes its children along."""

    def interrupt(number: int, frame: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, interrupt)


def guard(main: Callable[[Sequence[str]], int], argv: Sequence[str], *, emits_events: bool = False) -> int:
    """Run a command's `main` and turn whatever it raises into an exit code.

    0 done; 2 bad input; 3 failed underway; 4 a goal missed; 130 cancelled, 143 by SIGTERM. With
    `emits_events` the error also leaves as an ``error`` event on stdout, for the parent process.
    A fault of our own (any other exception) keeps its traceback: hiding it would help nobody.
    """
    try:
        return main(argv)
    except CopierError as error:
        caught = error
    except KeyboardInterrupt as error:
        caught = CancelledError()
        if isinstance(error, Terminated):
            caught.exit_code = 143
    except BrokenPipeError:
        # The reader of our stdout is gone (`… | head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        caught = CopierError("Out of memory.", "Close other programs, or lower the size or the batch.")
    except OSError as error:
        caught = _from_os(error)
    if emits_events:
        events.emit("error", what=caught.what, advice=caught.advice, exit_code=caught.exit_code)
    print(f"error: {caught}", file=sys.stderr)
    return caught.exit_code


def _from_os(error: OSError) -> CopierError:
    """A file system's refusal in words; a missing or forbidden path is the user's to mend."""
    where = f" ({error.filename})" if error.filename else ""
    what = f"{error.strerror or error}{where}."
    if isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)):
        return InputError(what, "Check the path and its permissions.")
    return CopierError(what, "Check free space and permissions, then run the same command again.")
