"""`run.py test`: pytest over tests/, with the arguments passed on."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lib_copier.border.cores import granted_cores
from lib_copier.environment.pins import ROOT

_MOST_AT_ONCE = 8
"""Each process loads torch, and some a browser."""


def main(argv: Sequence[str]) -> int:
    """Run the suite; returns pytest's exit code (1 failures, 5 no test ran)."""
    # Tiny models: threads of one operation would only spin. Must stand before torch is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.chdir(ROOT)

    import pytest

    return int(pytest.main(shared_out(argv, cores=granted_cores())))


def shared_out(argv: Sequence[str], cores: int) -> list[str]:
    """The arguments, by which the whole suite runs in a process for each core; a part of it in one.

    A file's tests stay in one process, so that what they share is made once. Files come in the order of
    tests/conftest.py. `-n` of the caller's own stands.
    """
    names_a_part = any((ROOT / argument.partition("::")[0]).exists() for argument in argv if argument)
    says_how = any(argument.startswith(("-n", "-s", "--pdb", "--numprocesses")) for argument in argv)
    if cores < 2 or names_a_part or says_how:
        return list(argv)
    processes = str(min(cores, _MOST_AT_ONCE))
    return ["-n", processes, "--dist", "loadfile", "--no-loadscope-reorder", *argv]
