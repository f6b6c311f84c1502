"""The one place where errors end: they become a line on stderr, an exit code, and the object of --json."""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from lib_copier.border import events
from lib_copier.errors import CancelledError, CopierError, InputError


class Parser(argparse.ArgumentParser):
    """A parser whose complaints end here too, in one line like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError: what cannot be read, and where the flags are told."""
        raise InputError(f"{message[:1].upper()}{message[1:]}.", f"See `{self.prog} --help`.")


class Terminated(KeyboardInterrupt):
    """SIGTERM: whoever ends us wants what we started to end too."""


def end_with_children() -> None:
    """Let SIGTERM end this process as Ctrl-C does, which takes its children along."""

    def interrupt(number: int, frame: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, interrupt)


def guard(
    main: Callable[[Sequence[str]], int],
    argv: Sequence[str],
    *,
    emits_events: bool = False,
    answers_json: bool = False,
) -> int:
    """Run a command's `main` and turn whatever it raises into an exit code.

    0 done; 2 bad input; 3 failed underway; 4 a goal missed; 130 cancelled, 143 by SIGTERM. With
    `emits_events` the error also leaves as an ``error`` event on stdout, for the parent process; with
    `answers_json` as the one object that the caller waits for there.
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
    except Exception as error:
        if answers_json:
            _answer(CopierError(f"{type(error).__name__}: {error}"), exit_code=1)
        raise
    if emits_events:
        events.emit("error", **caught.as_json())
    return end(caught, answers_json=answers_json)


def leave(code: int) -> NoReturn:
    """End the process with an exit code.

    What the libraries have left in memory is not looked through once more: that took a second.
    """
    gc.freeze()
    sys.exit(code)


def end(error: CopierError, *, answers_json: bool) -> int:
    """Tell an error to whoever called the program, and give its exit code."""
    if answers_json:
        _answer(error, error.exit_code)
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def _answer(error: CopierError, exit_code: int) -> None:
    print(json.dumps({"error": {**error.as_json(), "exit_code": exit_code}}))


def _from_os(error: OSError) -> CopierError:
    """A file system's refusal in words; a missing or forbidden path is the user's to mend."""
    where = f" ({error.filename})" if error.filename else ""
    what = f"{error.strerror or error}{where}."
    if isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)):
        return InputError(what, "Check the path and its permissions.")
    return CopierError(what, "Check free space and permissions, then run the same command again.")
