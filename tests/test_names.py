"""Names that would leave their folder, or that some system cannot have, are told."""

from __future__ import annotations

import pytest

from lib_copier.errors import InputError
from lib_copier.names import checked_name, name_fault


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
