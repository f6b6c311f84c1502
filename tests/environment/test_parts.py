"""Pins, stamp and pip's output: the small parts that the set-up stands on."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lib_copier.environment.pins import ROOT, installed_versions, package_name, requirement_lines, unmet
from lib_copier.environment.pip import PipResult, digest, run_pip
from lib_copier.environment.report import Report
from lib_copier.environment.stamp import NAME, Stamp, is_current, python_of, read_stamp, write_stamp


def test_requirement_lines_leave_comments_and_options_out() -> None:
    text = "# title\n\nnumpy==2.2.6  # why\ndiffusers[torch]==0.32.1\n-e .\n--extra-index-url x\nftfy\n"
    assert requirement_lines(text) == ("numpy==2.2.6", "diffusers[torch]==0.32.1", "ftfy")


@pytest.mark.parametrize(
    ("requirement", "name"),
    [("ml_dtypes==0.5.4", "ml-dtypes"), ("diffusers[torch]==0.32.1", "diffusers"), ("Pillow", "pillow")],
)
def test_package_names_have_one_spelling(requirement: str, name: str) -> None:
    assert package_name(requirement) == name


def test_unmet_compares_releases_not_builds() -> None:
    installed = {"torch": "2.13.0+cpu", "numpy": "2.2.5", "ftfy": "6.0"}
    lines = ("torch==2.13.0", "numpy==2.2.6", "ftfy", "rich==15.0.0")
    assert unmet(lines, installed) == ["numpy==2.2.6", "rich==15.0.0"]
    assert unmet(["torch==2.13.0+cu130"], installed) == ["torch==2.13.0+cu130"]


def test_the_first_folder_wins(tmp_path: Path, put_package: Callable[..., Path]) -> None:
    put_package(tmp_path / "a", "numpy", "2.2.6")
    put_package(tmp_path / "b", "numpy", "1.26.2")
    assert installed_versions([tmp_path / "a", tmp_path / "b"]) == {"numpy": "2.2.6"}


def test_every_pin_of_the_project_is_exact() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        for line in requirement_lines(path.read_text(encoding="utf-8")):
            assert "==" in line, f"{path.name}: {line}"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 99}', '{"format": 1, "groups": 3}'])
def test_a_damaged_stamp_is_no_stamp(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert read_stamp(tmp_path) is None
    assert not is_current(tmp_path, {})


def test_a_stamp_counts_only_while_its_interpreter_is_there(tmp_path: Path) -> None:
    groups = {"base": ("numpy==2.2.6",)}
    write_stamp(tmp_path, Stamp("3.11.7", "cpu", "", groups))
    assert not is_current(tmp_path, groups)
    python = python_of(tmp_path)
    python.parent.mkdir()
    python.symlink_to(tmp_path / "a python that was removed")
    assert not is_current(tmp_path, groups)
    python.unlink()
    python.touch()
    assert is_current(tmp_path, groups)
    assert is_current(tmp_path, {})
    assert not is_current(tmp_path, groups, "cuda")


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


def test_a_report_that_is_no_terminal_has_only_whole_lines() -> None:
    stream = io.StringIO()
    report = Report(stream)
    with report.alive():
        report.doing("downloading torch")
        report.say("torch is in place")
    assert stream.getvalue() == "torch is in place\n"
