"""Pip's words in few, and why it failed."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from lib_copier.environment.pip import PipResult, digest, run_pip
from lib_copier.environment.report import Report


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Collecting torch==2.13.0", "looking for torch"),
        (
            "  Downloading torch-2.13.0-cp311-cp311-win_amd64.whl (526.6 MB)",
            "downloading torch 2.13.0 (526.6 MB)",
        ),
        ("Installing collected packages: a, b, c", "installing 3 packages"),
        ("Installing collected packages: torch", "installing torch"),
        ("  Using cached x.whl", ""),
    ],
)
def test_pip_in_few_words(line: str, shown: str) -> None:
    assert digest(line) == shown


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "torch==2.13.0+cpu"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("NameResolutionError: Failed to resolve", "cannot be reached"),
        ("ERROR: something else", "something else"),
    ],
)
def test_why_pip_failed(line: str, word: str) -> None:
    assert word in PipResult(1, (line,)).reason


def test_pip_runs_and_leaves_its_output_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "set-up.log"
    result = run_pip(Path(sys.executable), ["--version"], log=log, report=Report(io.StringIO()))
    assert not result.has_failed
    assert "pip" in log.read_text(encoding="utf-8")
