"""The errors of this project: each says what is wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


class CopierError(Exception):
    """Root of every error that is meant for a person.

    Parameters
    ----------
    what:
        One sentence: what is wrong and where (a file, a layer, an option).
    advice:
        One sentence: what to do next. May be empty where `what` already says it.
    """

    exit_code = 3

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.what} {self.advice}".strip()

    def as_json(self) -> dict[str, Any]:
        """What a program is told that waits for an answer."""
        return {"what": self.what, "advice": self.advice, "exit_code": self.exit_code}


class InputError(CopierError):
    """Something that the user gave cannot be used; found before any work starts."""

    exit_code = 2


class FaultsError(InputError):
    """Several faults of one input, collected so that they can be mended in one go."""

    def __init__(self, subject: str, faults: Iterable[str], advice: str = "") -> None:
        self.faults: tuple[str, ...] = tuple(faults)
        count = len(self.faults)
        head = f"{subject}: {count} {'fault' if count == 1 else 'faults'}: "
        super().__init__(head + "; ".join(self.faults) + ".", advice)


class ChildError(CopierError):
    """A child process failed; carries its command, exit code and last lines."""

    exit_code = 3

    def __init__(
        self,
        what: str,
        advice: str = "",
        *,
        argv: Sequence[str] = (),
        returncode: int | None = None,
        last_lines: Sequence[str] = (),
    ) -> None:
        super().__init__(what, advice)
        self.argv = tuple(argv)
        self.returncode = returncode
        self.last_lines = tuple(last_lines)


class GoalError(CopierError):
    """A step was done and missed what it is for, so nothing was built on it."""

    exit_code = 4


class CancelledError(CopierError):
    """The user stopped the work; what was finished before is kept."""

    exit_code = 130

    def __init__(self, what: str = "Cancelled.", advice: str = "") -> None:
        super().__init__(what, advice)
