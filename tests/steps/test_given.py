"""An origin whose picture is given is done once it is chosen, cropped and converted as steps need it."""

from __future__ import annotations

from PIL import Image

from lib_copier.recipe.model import Recipe
from lib_copier.steps.given import take_in_given
from lib_copier.steps.project import Project


def given(tmp_path, name: str = "a", **settings: str) -> Project:
    picture = tmp_path / f"{name}.png"
    Image.linear_gradient("L").resize((101, 96)).convert("RGBA").save(picture)
    project = Project.create(tmp_path / "project", Recipe())
    values = {"source": "file", "file": str(picture), "prompt": "a (red:1.2) circle", **settings}
    return project.set({f"origins.{name}.{key}": value for key, value in values.items()})


def test_the_picture_and_its_caption_are_there_at_once(tmp_path):
    project = given(tmp_path)
    take_in_given(project, "a")
    made = project.artifact("origin/a")
    assert made is not None and "Cropped from 101x96 to 96x96" in made.result["notes"][0]
    with Image.open(made.file("picture.png")) as picture:
        assert (picture.size, picture.mode) == ((96, 96), "RGB")
    caption = project.file("caption/a")
    assert caption is not None and caption.read_text() == "a red circle\n"


def test_once_is_enough_and_a_tagger_is_not_waited_for(tmp_path):
    project = given(tmp_path, caption_source="tagger")
    for _ in range(2):
        take_in_given(project, "a")
    assert len(project.runs()) == 1
    assert project.file("origin/a") is not None and project.file("caption/a") is None


def test_what_earlier_pictures_were_taken_in_as_goes(tmp_path):
    project = given(tmp_path)
    take_in_given(project, "a")
    Image.new("RGB", (64, 64)).save(tmp_path / "b.png")
    take_in_given(project.set({"origins.a.file": str(tmp_path / "b.png")}), "a")
    assert len(list((project.folder / "artifacts").glob("origin-*"))) == 1


def test_one_that_is_to_be_made_is_left_to_a_run(tmp_path):
    project = given(tmp_path, source="generate")
    take_in_given(project, "a")
    take_in_given(project, "nobody")
    assert project.runs() == ()
