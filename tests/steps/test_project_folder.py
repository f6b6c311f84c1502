"""Projects are renamed and deleted whole or not at all, and never under a run."""

from __future__ import annotations

import shutil

import pytest

from lib_copier.errors import InputError
from lib_copier.files.lock import HeldError
from lib_copier.graph.folders import Folders
from lib_copier.graph.lock import held
from lib_copier.recipe.model import Recipe
from lib_copier.steps import project_folder
from lib_copier.steps.project import Project


@pytest.fixture
def home(tmp_path):
    return tmp_path / "projects"


@pytest.fixture
def project(home):
    return Project.create(home / "lines", Recipe())


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_renamed_project_keeps_what_was_made(project, home):
    (project.folder / "artifacts").mkdir()
    renamed = project_folder.rename(project, "  curves ")
    assert (renamed.folder, renamed.name) == (home / "curves", "curves")
    assert names(home) == ["curves"] and (renamed.folder / "artifacts").is_dir()


def test_a_name_of_ones_own_stays(project):
    project.set({"project.name": "thick-lines"})
    assert project_folder.rename(project, "curves").name == "thick-lines"


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", ".x", "con", "x" * 200, "taken"])
def test_a_name_that_the_one_check_refuses_or_that_is_taken_changes_nothing(project, home, name):
    Project.create(home / "taken", Recipe())
    with pytest.raises(InputError):
        project_folder.rename(project, name)
    assert names(home) == ["lines", "taken"]


def test_a_deleted_project_is_gone_even_where_it_cannot_be_read(project, home):
    (project.folder / "project.json").write_text("[")
    (home / ".0badcafe.trash").mkdir()
    project_folder.delete(project.folder)
    assert names(home) == [], "with what an earlier deletion left"


def test_nothing_is_half_deleted(project, home, monkeypatch):
    """Killed while it deletes: the project is off the list, and the next deletion takes the rest."""
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    project_folder.delete(project.folder)
    (left,) = names(home)
    assert left.startswith(".") and left.endswith(".trash")


def test_a_folder_without_a_project_is_not_deleted(home):
    (home / "mine").mkdir(parents=True)
    with pytest.raises(InputError):
        project_folder.delete(home / "mine")
    assert names(home) == ["mine"]


def test_a_running_project_stays_where_it_is(project, home):
    with held(Folders(project.folder).lock, "The project"):
        for act in (
            lambda: project_folder.delete(project.folder),
            lambda: project_folder.rename(project, "x"),
        ):
            with pytest.raises(HeldError):
                act()
    assert names(home) == ["lines"]
