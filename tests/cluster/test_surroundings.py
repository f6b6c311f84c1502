"""A node must make what would be made here: our code, Python and the pinned packages are the same there."""

from __future__ import annotations

import pytest

from lib_copier.cluster.surroundings import code_digest, facts, require_same, version_of
from lib_copier.errors import InputError


def test_a_node_like_this_machine_is_taken() -> None:
    assert facts()["packages"]["torch"].count(".") == 2 and "+" not in facts()["packages"]["torch"]
    require_same(facts(), facts(), "tower")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"code": "0" * 64}, "Node tower has another version of Copier LoRA"),
        ({"python": "3.9"}, r"python 3.9 \(here "),
        ({"packages": {}}, r"accelerate missing \(here .* and \d+ more"),
    ],
)
def test_what_differs_is_told_in_one_line(change: dict, told: str) -> None:
    with pytest.raises(InputError, match=told) as found:
        require_same(facts(), {**facts(), **change}, "tower")
    assert "\n" not in str(found.value)


def test_any_changed_source_is_another_version(tmp_path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    before = code_digest.__wrapped__(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    assert code_digest.__wrapped__(tmp_path) != before


def test_an_engine_that_is_not_there_has_no_version(monkeypatch) -> None:
    assert version_of("") == "" and version_of("embedded") and version_of("no such engine") == ""
