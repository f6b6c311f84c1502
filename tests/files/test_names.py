"""Names that would leave their folder, or that some system cannot have, are told."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest

from lib_copier.errors import InputError
from lib_copier.files import names
from lib_copier.files.names import checked_name, name_fault


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        ".",
        "a/b",
        "a\\b",
        "CON",
        "com1.txt",
        "x\n",
        " x",
        "x" * 61,
        "a:b",
        "-x",
        "e\u0301",
        5,
        "a=b",
    ],
)
def test_bad_names_are_told(name: object) -> None:
    assert name_fault(name)


@pytest.mark.parametrize("name", ["outline", "thick lines 2", "輪郭", "é", "v1.5", "control"])
def test_good_names_pass(name: str) -> None:
    assert name_fault(name) is None


def test_a_name_is_taken_in_one_spelling_and_a_bad_one_is_told_with_what_it_names() -> None:
    assert checked_name(" e\u0301 ", "edit") == "é"
    with pytest.raises(InputError, match="name of the edit, 'a/b', has the forbidden character '/'"):
        checked_name("a/b", "edit")


class Registry:
    """winreg with one value, or none."""

    HKEY_LOCAL_MACHINE = 0

    def __init__(self, value: int | None) -> None:
        self._value = value

    def OpenKey(self, root: int, path: str) -> contextlib.nullcontext:  # noqa: N802
        if self._value is None:
            raise FileNotFoundError(path)
        return contextlib.nullcontext()

    def QueryValueEx(self, key: None, name: str) -> tuple[int | None, int]:  # noqa: N802
        return self._value, 4


@pytest.mark.parametrize(("switched", "is_refused"), [(None, True), (0, True), (1, False)])
def test_on_windows_a_path_that_is_too_long_is_told_before(monkeypatch, switched, is_refused) -> None:
    monkeypatch.setattr(names.sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "winreg", Registry(switched))
    fits = Path("/" + "a" * (names.LONGEST_PATH - 122))
    names.require_room(fits, 120, "project")
    with pytest.raises(InputError, match="by 1 characters") if is_refused else contextlib.nullcontext():
        names.require_room(Path(f"{fits}b"), 120, "project")


def test_elsewhere_paths_may_be_long() -> None:
    names.require_room(Path("/" + "a" * 1000), 120, "project")
