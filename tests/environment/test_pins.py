"""What a requirement line asks for, and whether it is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib_copier.environment.pins import ROOT, installed_versions, package_name, requirement_lines, unmet


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
