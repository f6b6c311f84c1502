"""A folder of training pictures comes in by the run alone, and nothing else of it or below it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_copier.errors import FaultsError, InputError
from lib_copier.steps import style_folder
from lib_copier.steps.project import Project
from tests.steps.looks import states


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for name in ("a.png", "below/b.png"):
        Image.new("RGB", (64, 64), "blue").save(folder / name)
    (folder / "a.txt").write_text("blue")
    (folder / "secret.key").write_text("secret")
    return folder


def test_it_is_copied_by_the_run_and_named_by_its_content(project, photos):
    made = project(base__train_style=True, base__folder=str(photos))
    assert made.recipe.get("base.folder") == str(photos), "nothing is copied while somebody waits"
    assert "copied in when it runs" in made.step_status("base_lora").reasons[0]
    made.run()
    inside = Project.open(made.folder).recipe.get("base.folder")
    assert sorted(path.name for path in (made.folder / inside).iterdir()) == ["a.png", "a.txt"]
    assert states(made)["base_lora"] == "done"
    made.set({"base.folder": str(photos)})
    assert made.run().made == (), "the same pictures are the same folder"
    assert [path.name for path in (made.folder / "style").iterdir()] == [Path(inside).name]


OTHERS = ["{project}", "{project}/..", "{photos}/../slider", "{project}/artifacts", "style/..", "..", "."]
OTHERS += ["{photos}/secret.key", "{photos}/none", "{photos}/empty", "/proc/self", "/sys", "x\0"]


@pytest.mark.parametrize("given", OTHERS)
def test_no_other_folder_is_taken_and_nothing_is_lost(project, photos, given, monkeypatch):
    made = project(base__train_style=True)
    (photos / "empty").mkdir()
    (made.folder / "style").mkdir()
    (made.folder / "artifacts").mkdir()
    monkeypatch.chdir(made.folder)
    before = sorted(made.folder.rglob("*"))
    with pytest.raises(FaultsError):
        made.set({"base.folder": given.format(project=made.folder, photos=photos)})
    assert sorted(made.folder.rglob("*")) == before
    assert Project.open(made.folder).recipe.get("base.folder") == ""


def test_links_and_too_much_are_refused(project, photos, monkeypatch, tmp_path):
    home = tmp_path / "project"
    home.mkdir()
    monkeypatch.setattr(style_folder, "MOST_FILES", 1)
    with pytest.raises(InputError, match="more than 1 files"):
        style_folder.files_to_take(photos, home)
    monkeypatch.undo()
    monkeypatch.setattr(style_folder, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="more than"):
        style_folder.files_to_take(photos, home)
    monkeypatch.undo()
    (photos / "b.txt").symlink_to(photos / "secret.key")
    with pytest.raises(InputError, match="is a link"):
        style_folder.take_in(photos, home)
    assert not list((home / "style").iterdir()), "what was begun is gone"


@pytest.mark.parametrize("given", ["..", "../..", "/", "style/../.."])
def test_a_project_file_from_elsewhere_deletes_and_reads_nothing(project, given):
    made = project(base__train_style=True)
    (made.folder / "style").mkdir()
    path = made.folder / "project.json"
    path.write_text(path.read_text().replace('"folder": ""', f'"folder": "{given}"'))
    before = sorted(made.folder.iterdir())
    opened = Project.open(made.folder)
    assert opened.recipe.get("base.folder") == given
    assert "copied in when it runs" in opened.step_status("base_lora").reasons[0]
    opened.set({"copier.rank": 7})
    with pytest.raises(InputError, match="one within the other"):
        opened.run()
    assert set(before) <= set(made.folder.iterdir()) and not list((made.folder / "style").iterdir())
