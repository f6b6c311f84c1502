"""A file that cannot be used is told when it is chosen, before anything trains."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from PIL import Image

from lib_copier.errors import FaultsError
from lib_copier.image.files import encoded
from lib_copier.recipe.model import Recipe
from lib_copier.steps import contents
from lib_copier.steps.project import Project


def picture(path: Path, width: int = 256, height: int = 256) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), "red").save(path, "PNG")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "lines")
    own = str(picture(tmp_path / "origin.png"))
    return made.set({"origins.first.source": "file", "origins.first.file": own, "edits.thick": True})


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    name = "lora_unet_x.lora_down.weight"
    text = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "style.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0\0\0\0")
    return tmp_path / "style.safetensors"


def refused(project: Project, key: str, value: object) -> str:
    """What is said when a file is chosen that cannot be used; the recipe stays as it was."""
    before = (project.folder / "project.json").read_bytes()
    with pytest.raises(FaultsError, match="Nothing was changed") as caught:
        project.set({key: str(value)})
    assert (project.folder / "project.json").read_bytes() == before
    return str(caught.value)


def test_a_retouched_picture_of_another_size_is_refused_when_it_is_chosen(project, tmp_path) -> None:
    said = refused(project, "edits.thick.files.first", picture(tmp_path / "other.png", 256, 320))
    assert "edits.thick.files.first: pictures/other" in said and "is 256x320, its origin 256x256" in said
    # The steps crop both to multiples of 8.
    project.set({"edits.thick.files.first": str(picture(tmp_path / "same.png", 259, 256))})
    generated = project.set({"origins.second.prompt": "a", "origins.second.width": 320})
    assert "320x512" in refused(generated, "edits.thick.files.second", tmp_path / "same.png")


def test_another_origin_under_a_retouched_picture_is_taken_and_told(project, tmp_path) -> None:
    project.set({"edits.thick.files.first": str(picture(tmp_path / "same.png"))})
    project.set({"origins.first.file": str(picture(tmp_path / "larger.png", 512, 512))})
    assert any("is 256x256, its origin 512x512" in fault for fault in project.faults())
    with pytest.raises(FaultsError, match="512x512"):
        project.run()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no picture", "is not a picture"),
        (encoded(Image.new("RGB", (63, 400)), "PNG"), "63x400, smaller than 64"),
        (encoded(Image.new("1", (4096, 4104)), "PNG"), "million pixels"),
    ],
)
def test_a_picture_that_cannot_be_used_is_refused_when_it_is_chosen(
    project, tmp_path, content, words
) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    for key in ("origins.first.file", "edits.thick.files.first"):
        assert words in refused(project, key, tmp_path / "bad.png")


def test_a_lora_that_cannot_be_read_is_refused_when_it_is_chosen(project, tmp_path, lora) -> None:
    (tmp_path / "cut.safetensors").write_bytes(lora.read_bytes()[:-1])
    assert "cut.safetensors is no sound" in refused(
        project, "base.loras", f"{tmp_path / 'cut.safetensors'}:0.5"
    )
    project.set({"base.loras": f"{lora}:0.5"})
    assert not [fault for fault in project.faults() if "base.loras" in fault]


def test_a_folder_with_pictures_that_cannot_be_used_is_refused(project, tmp_path) -> None:
    project.set({"base.train_style": "true"})
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.txt").write_text("a")
    assert "holds no picture" in refused(project, "base.folder", tmp_path / "none")
    for number in range(5):
        picture(tmp_path / "small" / f"{number}.png", 32, 32)
    said = refused(project, "base.folder", tmp_path / "small")
    assert said.count("32x32") == 3 and "2 more pictures" in said


def test_all_faults_are_told_at_once_and_a_file_is_looked_into_once(project, tmp_path, monkeypatch) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(FaultsError) as caught:
        project.set(
            {
                "origins.first.file": str(tmp_path / "bad.png"),
                "edits.thick.files.first": str(tmp_path / "bad.png"),
                "base.loras": f"{tmp_path / 'bad.png'}",
            }
        )
    assert len(caught.value.faults) == 3
    known = project.faults()
    monkeypatch.setattr("lib_copier.image.files.picture_size", lambda _: pytest.fail("read again"))
    assert project.faults() == known


def test_files_that_are_not_here_are_left_to_the_recipe_s_check(tmp_path) -> None:
    recipe = Recipe().with_settings({"base.loras": ("gone.safetensors:1",), "base.folder": "gone"})
    assert not list(contents.content_faults(recipe, tmp_path))


@pytest.mark.parametrize("name", ["x" * 5000, "/" + "x" * 5000, "a\0", "/a\0"])
def test_names_that_no_file_can_have_are_told(project, name) -> None:
    for key in ("project.checkpoint", "base.loras", "base.folder", "edits.thick.files.first"):
        try:
            project.set({key: name, "base.train_style": "true"})
        except FaultsError:
            continue
        assert any(key in fault or "picture" in fault for fault in project.faults())
