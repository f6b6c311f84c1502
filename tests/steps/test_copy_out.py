"""What was published before is replaced; what others made, or changed since, is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.errors import InputError
from lib_copier.steps.copy_out import MEMORY, copy_out


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    for name in ("made", "Lora", "project"):
        (tmp_path / name).mkdir()
    for end in (".safetensors", ".png", ".json"):
        (tmp_path / "made" / f"x{end}").write_text(f"first {end}")
    return tmp_path / "made", tmp_path / "Lora", tmp_path / "project"


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_ours_is_replaced_and_what_the_user_changed_stays(places):
    made, target, project = places
    copy_out(sorted(made.iterdir()), target, project)
    assert texts(target) == texts(made)
    (target / "x.json").write_text("my own words")
    (target / "x.png").unlink()
    for path in made.iterdir():
        path.write_text("second")
    assert len(copy_out(sorted(made.iterdir()), target, project)) == 3
    assert texts(target) == {"x.safetensors": "second", "x.png": "second", "x.json": "my own words"}
    assert str(target) not in (project / MEMORY).read_text()


@pytest.mark.parametrize("end", [".safetensors", ".png", ".json"])
def test_a_stranger_s_file_stops_it_before_anything_is_copied(places, end):
    made, target, project = places
    (target / f"x{end}").write_text("a stranger's")
    with pytest.raises(InputError, match="was not made here"):
        copy_out(sorted(made.iterdir()), target, project)
    assert texts(target) == {f"x{end}": "a stranger's"}


def test_a_lora_that_was_changed_since_is_not_replaced(places):
    made, target, project = places
    copy_out(sorted(made.iterdir()), target, project)
    (target / "x.safetensors").write_text("trained further")
    (made / "x.safetensors").write_text("second")
    with pytest.raises(InputError, match="was not made here"):
        copy_out(sorted(made.iterdir()), target, project)


def test_equal_files_and_a_copy_that_was_cut_are_no_stranger_s(places, monkeypatch):
    made, target, project = places
    (target / "x.png").write_text("first .png")
    copied: list[Path] = []

    def cut(source: Path, place: Path) -> None:
        if copied:
            raise KeyboardInterrupt
        copied.append(place)
        place.write_text(source.read_text())

    monkeypatch.setattr("lib_copier.steps.copy_out.copy_file", cut)
    with pytest.raises(KeyboardInterrupt):
        copy_out(sorted(made.iterdir()), target, project)
    monkeypatch.undo()
    (made / "x.json").write_text("second")
    copy_out(sorted(made.iterdir()), target, project)
    assert texts(target) == texts(made)
